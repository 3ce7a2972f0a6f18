// Uses the client that everything shares, by the environment, and never closes it.
import { defaultClient } from "etcd-recipes/client";

const first = defaultClient();
console.log(first === defaultClient());
await defaultClient().put("program", "ran");
console.log((await defaultClient().get("program")).text);
