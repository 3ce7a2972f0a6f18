/** What the library calls a part of `tls`, and where it is given here. */
const given = {
  ca: { flag: "--cacert", variable: "ETCD_CACERT" },
  cert: { flag: "--cert", variable: "ETCD_CERT" },
  key: { flag: "--key", variable: "ETCD_KEY" },
} as const;

type Part = keyof typeof given;

/** Says a message of the library, and behind it where each part of `tls` that it names comes from. */
export type InOurTerms = (message: string) => string;

/** @param args of the program, before `--`: a part that no flag gives can come from the environment */
export function termsOf(args: readonly string[], env: NodeJS.ProcessEnv = process.env): InOurTerms {
  const hasFlag = (part: Part) => args.some((arg) => arg.split("=")[0] === given[part].flag);
  const hasVariable = (part: Part) => Boolean(env[given[part].variable]);
  const isOfEnvironment = (parts: readonly Part[]) => !parts.some(hasFlag) && parts.some(hasVariable);
  const sourceOf = (part: Part) => {
    // A certificate and its key come from one place.
    const together = part === "ca" ? (["ca"] as const) : (["cert", "key"] as const);
    return isOfEnvironment(together) ? given[part].variable : given[part].flag;
  };
  return (message) => {
    const parts = new Set([...message.matchAll(/\btls\.(ca|cert|key)(?:File)?\b/g)].map(([, part]) => part as Part));
    if (parts.size === 0) return message;
    return `${message}; ${[...parts].map((part) => `tls.${part} is ${sourceOf(part)}`).join(", ")} here`;
  };
}
