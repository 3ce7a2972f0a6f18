/** The flags of what the library's messages call by its own names. */
const flags: Readonly<Record<string, string>> = { ca: "--cacert", cert: "--cert", key: "--key" };

/** A message of the library, and behind it the flag of each part of `tls` that it names. */
export function withFlags(message: string): string {
  const parts = new Set([...message.matchAll(/\btls\.(ca|cert|key)(?:File)?\b/g)].map(([, part = ""]) => part));
  if (parts.size === 0) return message;
  return `${message}; ${[...parts].map((part) => `tls.${part} is ${flags[part]}`).join(", ")} here`;
}
