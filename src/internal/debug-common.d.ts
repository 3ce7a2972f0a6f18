/** The core of `debug`, which @types/debug does not describe. */
declare module "debug/src/common.js" {
  interface Debugger {
    (format: string, ...values: unknown[]): void;
    readonly enabled: boolean;
    readonly namespace: string;
  }

  interface Environment {
    readonly colors: readonly number[];
    useColors(): boolean;
    load(): string | undefined;
    save(namespaces: string): void;
    formatArgs(this: Debugger, args: unknown[]): void;
    log(...args: unknown[]): void;
    destroy(): void;
  }

  const setUp: (environment: Environment) => (namespace: string) => Debugger;
  // biome-ignore lint/style/noDefaultExport: what a CommonJS module exports as a whole
  export default setUp;
}
