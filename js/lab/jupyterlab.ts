/** What of JupyterLab the panel uses: its packages come from the running application, these are only their types. */

export interface Signal<S, A> {
  connect(slot: (sender: S, args: A) => void): boolean;
  disconnect(slot: (sender: S, args: A) => void): boolean;
}

export interface Disposable {
  readonly isDisposed: boolean;
  dispose(): void;
}

// -- Lumino ----------------------------------------------------------------------------------------------------

export interface Title {
  label: string;
  caption: string;
  icon: unknown;
  closable: boolean;
}

export interface LuminoWidget extends Disposable {
  id: string;
  readonly node: HTMLElement;
  readonly title: Title;
  readonly isVisible: boolean;
  readonly isAttached: boolean;
  readonly isHidden: boolean;
  readonly disposed: Signal<LuminoWidget, void>;
  addClass(name: string): void;
  hasClass(name: string): boolean;
  show(): void;
  hide(): void;
  close(): void;
}

export interface LuminoPanel extends LuminoWidget {
  readonly widgets: readonly LuminoWidget[];
  addWidget(widget: LuminoWidget): void;
}

interface LuminoMessage {
  readonly type: string;
}

// -- kernels ---------------------------------------------------------------------------------------------------

export interface Message {
  readonly header: { readonly msg_type: string; readonly msg_id: string };
  readonly parent_header: { readonly msg_id?: string };
  readonly content: Record<string, unknown>;
}

/** What an evaluated expression gave. */
export type Evaluated =
  | { status: "ok"; data: Record<string, unknown> }
  | { status: "error"; ename: string; evalue: string; traceback: string[] };

export interface ExecuteReply {
  readonly content: {
    readonly status: "ok" | "error" | "aborted";
    readonly ename?: string;
    readonly evalue?: string;
    readonly user_expressions?: Record<string, Evaluated>;
  };
}

export interface ExecuteContent {
  code: string;
  silent: boolean;
  store_history: boolean;
  allow_stdin: boolean;
  stop_on_error: boolean;
  user_expressions: Record<string, string>;
}

export interface Future extends Disposable {
  readonly msg: { readonly header: { readonly msg_id: string } };
  readonly done: Promise<ExecuteReply>;
}

export interface Kernel extends Disposable {
  readonly id: string;
  readonly status: string;
  readonly connectionStatus: string;
  readonly info: Promise<{ language_info: { name: string } }>;
  requestExecute(content: ExecuteContent): Future;
}

export interface SessionContext extends Disposable {
  readonly session: { readonly kernel: Kernel | null } | null;
  readonly ready: Promise<void>;
  readonly isReady: boolean;
  /** Whether there is no kernel and none is about to start. */
  readonly hasNoKernel: boolean;
  readonly kernelChanged: Signal<SessionContext, unknown>;
  readonly statusChanged: Signal<SessionContext, string>;
  readonly connectionStatusChanged: Signal<SessionContext, string>;
  readonly iopubMessage: Signal<SessionContext, Message>;
  initialize(): Promise<boolean>;
}

// -- the application -------------------------------------------------------------------------------------------

/** An output: what it holds, by MIME type. */
export interface MimeModel {
  readonly trusted: boolean;
  readonly data: Readonly<Record<string, unknown>>;
  readonly metadata: Readonly<Record<string, unknown>>;
}

/** The place of an output of one MIME type. */
export interface Renderer extends LuminoPanel {
  renderModel(model: MimeModel): Promise<void>;
}

export interface Rendermime {
  readonly mimeTypes: readonly string[];
  clone(): Rendermime;
  removeMimeType(type: string): void;
  getFactory(type: string): unknown;
  createRenderer(type: string): Renderer;
}

export interface NotebookContext {
  readonly path: string;
  readonly model: { getMetadata(key: string): unknown };
  readonly sessionContext: SessionContext;
}

export interface NotebookPanel extends LuminoWidget {
  readonly content: { readonly rendermime: Rendermime };
  readonly context: NotebookContext;
  readonly sessionContext: SessionContext;
}

export interface Tracker<T> {
  readonly currentWidget: T | null;
  readonly currentChanged: Signal<unknown, T | null>;
  readonly widgetAdded: Signal<unknown, T>;
  forEach(visit: (widget: T) => void): void;
}

interface WidgetTracker {
  add(widget: LuminoWidget): Promise<void>;
}

export interface Restorer {
  add(widget: LuminoWidget, name: string): void;
  restore(tracker: WidgetTracker, options: RestoreOptions): Promise<unknown>;
}

interface RestoreOptions {
  command: string;
  args(widget: LuminoWidget): Record<string, unknown>;
  name(widget: LuminoWidget): string;
}

interface FileModel {
  readonly path: string;
  readonly name: string;
  readonly type: string;
}

export interface FileBrowserFactory {
  readonly tracker: { readonly currentWidget: { selectedItems(): Iterable<FileModel> } | null };
}

interface Command {
  label: string;
  caption?: string;
  icon?: unknown;
  isVisible?(): boolean;
  execute(args: Record<string, unknown>): unknown;
}

export interface App {
  readonly commands: {
    addCommand(id: string, command: Command): Disposable;
    execute(id: string, args?: Record<string, unknown>): Promise<unknown>;
  };
  readonly contextMenu: { addItem(item: { command: string; selector: string; rank?: number }): Disposable };
  readonly shell: {
    add(widget: LuminoWidget, area: string, options?: { rank?: number; mode?: string; ref?: string }): void;
    activateById(id: string): void;
  };
  readonly serviceManager: {
    readonly contents: { localPath(path: string): string };
    readonly kernels: unknown;
    readonly sessions: unknown;
    readonly kernelspecs: {
      readonly ready: Promise<void>;
      readonly specs: {
        readonly default: string;
        readonly kernelspecs: Record<string, { readonly language: string } | undefined>;
      } | null;
    };
  };
}

export interface Palette {
  addItem(item: { command: string; category: string }): Disposable;
}

// -- packages that JupyterLab shares at run time -----------------------------------------------------------------

export interface Packages {
  "@jupyterlab/application": { ILayoutRestorer: unknown };
  "@jupyterlab/apputils": {
    ICommandPalette: unknown;
    MainAreaWidget: new (options: { content: LuminoWidget }) => LuminoWidget;
    SessionContext: new (options: Record<string, unknown>) => SessionContext;
    WidgetTracker: new (options: { namespace: string }) => WidgetTracker;
  };
  "@jupyterlab/filebrowser": { IFileBrowserFactory: unknown };
  "@jupyterlab/notebook": { INotebookTracker: unknown };
  "@jupyterlab/outputarea": {
    OutputAreaModel: new (options: { trusted: boolean }) => Disposable & { clear(): void };
    SimplifiedOutputArea: (new (
      options: Record<string, unknown>,
    ) => LuminoWidget & { future: Future }) & {
      defaultContentFactory: unknown;
    };
  };
  "@jupyterlab/rendermime": { IRenderMimeRegistry: unknown };
  "@jupyterlab/ui-components": { LabIcon: new (options: { name: string; svgstr: string }) => unknown };
  "@lumino/messaging": {
    MessageLoop: {
      installMessageHook(
        widget: LuminoWidget,
        hook: (widget: LuminoWidget, message: LuminoMessage) => boolean,
      ): void;
    };
  };
  "@lumino/widgets": {
    Panel: new () => LuminoPanel;
    Widget: new (options?: { node: HTMLElement }) => LuminoWidget;
  };
  "@jupyter-widgets/jupyterlab-manager": {
    registerWidgetManager(context: unknown, rendermime: Rendermime, renderers: Iterable<unknown>): Disposable;
  };
}

/** All but the widget manager, which may be missing. */
export type Lab = Omit<Packages, "@jupyter-widgets/jupyterlab-manager">;
