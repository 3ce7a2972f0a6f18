import { InvalidOptionError } from "./errors/invalid-option-error.ts";

/** Who the client is in etcd's own authentication (`etcdctl user`, `etcdctl role`). */
export interface AuthOptions {
  /** @default the environment's ETCD_USERNAME; without one there is no authentication */
  username: string;
  /** @default the environment's ETCD_PASSWORD */
  password: string;
}

/** @throws InvalidOptionError when the environment has one half only */
export function resolveAuth(options: AuthOptions | undefined, env: NodeJS.ProcessEnv): AuthOptions | undefined {
  if (options) return options;
  const { ETCD_USERNAME: username, ETCD_PASSWORD: password } = env;
  if (!username && !password) return undefined;
  if (!username)
    throw new InvalidOptionError(
      "EtcdClient",
      "auth.username",
      "is missing: ETCD_PASSWORD is there, ETCD_USERNAME is not",
    );
  if (!password)
    throw new InvalidOptionError(
      "EtcdClient",
      "auth.password",
      "is missing: ETCD_USERNAME is there, ETCD_PASSWORD is not",
    );
  return { username, password };
}
