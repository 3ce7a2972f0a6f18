import {
  EtcdClient,
  type EtcdClientOptions,
  InvalidOptionError,
  reachableAddress,
  ServiceRegister,
  SubscribeService,
} from "../../recipes/index.ts";
import { checkObject, shown } from "./check-object.ts";

/** What an app is registered with, and what it follows. */
export interface RecipesOfApp {
  readonly key?: unknown;
  readonly address?: unknown;
  readonly ttlSeconds?: unknown;
  readonly registration?: unknown;
  readonly subscribe?: unknown;
  readonly client?: unknown;
}

/** Stands for the server, which does not listen yet. */
const listening = { address: "127.0.0.1", family: "IPv4", port: 80 };
/** No option of a client: so no client is made of it, and nothing begins. */
const UNMADE = "onlyChecked";
const unmade = { [UNMADE]: true } as EtcdClientOptions;

/**
 * Checks what the recipes of an app will be made of, before it listens. It asks etcd nothing. Without a key, an address
 * may be empty and the TTL is not looked at: nothing is registered with them.
 *
 * No method of a user's codec is called. The rest is called here, and again when the recipes are made: getters of
 * options, getters and `toJSON()` of metadata, and `validate` of a schema, with undefined.
 *
 * @throws InvalidOptionError that names the option as the caller wrote it
 */
export function checkRecipes(what: string, options: RecipesOfApp): void {
  const { key, address, subscribe = {}, client } = options;
  if (key !== undefined && (typeof key !== "string" || key === "")) {
    throw new InvalidOptionError(what, "key", `must be a key such as /svc/orders/o1, not ${shown(key)}`);
  }
  if (address !== undefined && typeof address !== "string" && typeof address !== "function") {
    throw new InvalidOptionError(what, "address", `must be host:port, a host or a function, not ${shown(address)}`);
  }
  checkObject(what, "subscribe", subscribe, 'prefixes by name, such as { orders: "/svc/orders/" }');
  if (client !== undefined && !(client instanceof EtcdClient)) {
    const example = '{ endpoints: "http://127.0.0.1:2379" }';
    checkObject(what, "client", client, `an EtcdClient of this package, or options for one, such as ${example}`);
    // It connects when it is first used.
    void new EtcdClient({ ...client }).close();
  }
  checkRegistration(what, options);
  for (const [name, given] of Object.entries(subscribe)) checkSubscribed(what, `subscribe.${name}`, given);
}

/** The client for the recipes of an app, as an option of each; its own options may be an instance of a class. */
export function clientOf(client: EtcdClient | EtcdClientOptions | undefined): RecipeClient {
  if (client === undefined) return {};
  return { client: client instanceof EtcdClient ? client : { ...client } };
}

interface RecipeClient {
  readonly client?: EtcdClient | EtcdClientOptions;
}

function checkRegistration(what: string, options: RecipesOfApp): void {
  const { key, registration = {}, client } = options;
  const isUnused = key === undefined && typeof options.address === "string" && options.address.trim() === "";
  const address = isUnused ? undefined : options.address;
  const { ttlSeconds = 5 } = key === undefined ? {} : options;
  checkObject(what, "registration", registration, "an object of options of a ServiceRegister");
  checkNoClient(what, "registration", registration);
  const place = typeof key === "string" ? key : "/svc/";
  const at = reachableAddress(listening, typeof address === "string" ? address : undefined, what);
  const isKnown = typeof address === "string" || (key !== undefined && address === undefined);
  const { lease, format, ...others } = registration;
  // The registration may share its lease with others of its client; one that has options for its own may not.
  const isShared = lease === "shared" && (client === undefined || client instanceof EtcdClient);
  const given = { ...others, ...(isShared ? {} : { lease }), format: quiet(format) };
  const own = ["key", "address", "ttlSeconds"];
  const problem = problemOf(() => {
    new ServiceRegister(place.endsWith("/") ? `${place}${at}` : place, at, ttlSeconds as number, {
      ...(given as object),
      client: unmade,
    });
  });
  if (!problem || (problem.option === "address" && !isKnown)) return;
  const option = own.includes(problem.option) ? problem.option : `registration.${problem.option}`;
  throw new InvalidOptionError(what, option, problem.text);
}

/** A codec of the user may look into the key and the address that only the app will have: one like it, which does not. */
function quiet(format: unknown): unknown {
  if (typeof format !== "object" || format === null || Array.isArray(format)) return format;
  const { name, encode, decode, carries } = format as Partial<Record<string, unknown>>;
  const without = (method: unknown) => (typeof method === "function" ? () => "" : method);
  return { name, encode: without(encode), decode: without(decode), carries };
}

function checkSubscribed(what: string, option: string, given: unknown): void {
  if (typeof given !== "string" && typeof (given as { prefix?: unknown } | null | undefined)?.prefix !== "string") {
    throw new InvalidOptionError(what, option, `must be a prefix, or { prefix, … }, not ${shown(given)}`);
  }
  if (typeof given === "string") {
    const problem = problemOf(() => new SubscribeService(given, { client: unmade }));
    if (problem) throw new InvalidOptionError(what, option, problem.text);
    return;
  }
  checkObject(what, option, given, "a prefix, or { prefix, … }");
  checkNoClient(what, option, given);
  const { prefix, ...others } = given;
  const problem = problemOf(() => new SubscribeService(prefix as string, { ...others, client: unmade }));
  if (problem) throw new InvalidOptionError(what, `${option}.${problem.option}`, problem.text);
}

/** All recipes of an app have the same client: another one would be left out. */
function checkNoClient(what: string, option: string, given: Readonly<Record<string, unknown>>): void {
  if (given.client === undefined) return;
  throw new InvalidOptionError(what, `${option}.client`, `is no option: give client beside ${option.split(".")[0]}`);
}

/** What a recipe says of its options, all of which it checks before it makes its client. */
function problemOf(make: () => unknown): { readonly option: string; readonly text: string } | undefined {
  try {
    make();
  } catch (error) {
    if (!(error instanceof InvalidOptionError)) throw error;
    const { option, message } = error;
    if (option !== UNMADE) return { option, text: message.replace(/^.*?: /, "").slice(option.length + 1) };
  }
  return undefined;
}
