/**
 * Registers the thousand tenants that one process serves, on one lease; one changes, one leaves, then all leave
 * together.
 *
 *     ETCD_ENDPOINTS=http://127.0.0.1:2379 node build/examples/register-group.js
 */
import { RegistrationGroup } from "etcd-recipes";

const group = new RegistrationGroup("/publictest/tenants/", 5);
group.on("lost", (tenant, error) => console.log(`${tenant.id} is lost: ${error.message}; it is being put back`));

for (let index = 0; index < 1_000; index++) {
  group.register(`tenant-${index}`, "10.0.0.1:8080", { metadata: { tenant: index } });
}
await group.ready;
console.log(`${group.size} tenants are registered`);

const first = group.get("tenant-0");
await first?.update({ weight: 20 });
console.log(`${first?.id} takes twenty times the load`);

await group.get("tenant-1")?.close();
console.log(`${group.size} tenants are left`);

await group.close({ drainMs: 200 });
console.log(`${first?.id} is ${first?.status}`);
