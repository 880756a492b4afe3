// Unpacks the page's script and runs it. The page's content security policy names the hashes of both.
const tell = (message) => {
  const told = document.getElementById("weightwidget-problem");
  told.hidden = false;
  told.textContent = message;
};
(async () => {
  const packed = document.getElementById("weightwidget-code").textContent;
  const bytes = Uint8Array.from(atob(packed), (char) => char.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const script = document.createElement("script");
  script.textContent = await new Response(stream).text();
  document.head.append(script);
})().catch((reason) =>
  tell(`The explorer could not be unpacked; a browser of 2023 or newer can do it. ${reason}`),
);
