// Run before the page's own scripts: keeps account of all that outlives a function call and must be let go of.
(() => {
  // Only what the page's own script does: the tools that drive the browser listen, too.
  const ours = () => new Error().stack.includes("/dist/main.js");
  const timers = new Set();
  const listeners = new Map();
  const observers = new Map();

  const { setTimeout, setInterval, clearTimeout, clearInterval } = window;
  window.setTimeout = (run, delay, ...rest) => {
    const id = setTimeout(
      (...args) => {
        timers.delete(id);
        run(...args);
      },
      delay,
      ...rest,
    );
    if (ours()) timers.add(id);
    return id;
  };
  window.setInterval = (...args) => {
    const id = setInterval(...args);
    if (ours()) timers.add(id);
    return id;
  };
  window.clearTimeout = window.clearInterval = (id) => {
    timers.delete(id);
    clearTimeout(id);
    clearInterval(id);
  };

  // Listeners on what outlives the widget: those of its own elements go with them.
  const { addEventListener, removeEventListener } = EventTarget.prototype;
  const lasting = (target) =>
    target === window || target === document || target === document.body || target instanceof MediaQueryList;
  const key = (type, listener, options) => {
    const capture = typeof options === "object" ? Boolean(options?.capture) : Boolean(options);
    return [type, listener, capture];
  };
  const find = (wanted) =>
    [...listeners.keys()].find((known) => known.every((part, i) => part === wanted[i]));
  EventTarget.prototype.addEventListener = function (type, listener, options) {
    if (listener && lasting(this ?? window) && !options?.signal?.aborted && ours()) {
      const wanted = [this ?? window, ...key(type, listener, options)];
      if (!find(wanted)) listeners.set(wanted, type);
      options?.signal && addEventListener.call(options.signal, "abort", () => listeners.delete(wanted));
    }
    return addEventListener.call(this ?? window, type, listener, options);
  };
  EventTarget.prototype.removeEventListener = function (type, listener, options) {
    const known = find([this ?? window, ...key(type, listener, options)]);
    if (known) listeners.delete(known);
    return removeEventListener.call(this ?? window, type, listener, options);
  };

  for (const name of ["ResizeObserver", "MutationObserver", "IntersectionObserver"]) {
    const Original = window[name];
    window[name] = class extends Original {
      observe(...args) {
        if (ours()) observers.set(this, `${name} ${new Error().stack.split("\n")[2]}`);
        super.observe(...args);
      }
      disconnect() {
        observers.delete(this);
        super.disconnect();
      }
    };
  }

  window.kept = () => ({
    timers: timers.size,
    listeners: [...listeners.values()].sort(),
    observers: [...observers.values()],
  });
})();
