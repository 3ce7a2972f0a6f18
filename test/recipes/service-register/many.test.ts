import { expect, test } from "vitest";
import type { ServiceRegister } from "../../../recipes/index.ts";
import { EtcdClient } from "../../../src/index.ts";
import { leasesOf } from "../../support/gateway/index.ts";
import { RegistryLab } from "../../support/registry-lab.ts";
import { until } from "../../support/until.ts";

const many = 500;
const wave = 50;

test("five hundred registrations and a subscriber in one process: all listed, nothing warned of, nothing left", async () => {
  const warnings: Error[] = [];
  const onWarning = (warning: Error) => warnings.push(warning);
  process.on("warning", onWarning);
  await using lab = await RegistryLab.start();
  const resources = () =>
    process.getActiveResourcesInfo().filter((name) => name === "Timeout" || name === "TCPSocketWrap").length;
  await lab.etcd.get("warm");
  const before = resources();
  const prefix = lab.newPrefix();
  const client = new EtcdClient({ endpoints: lab.cluster.endpoints });
  const services = lab.subscribe(prefix, { client });
  // In waves: what a herd of calls does to a machine that is short of CPU is another question.
  const registers: ServiceRegister[] = [];
  while (registers.length < many) {
    const from = registers.length;
    for (let index = from; index < from + wave; index++) {
      registers.push(lab.register(`${prefix}m${index}`, `10.0.${index >> 8}.${index & 255}:80`, 60, { client }));
    }
    await Promise.all(registers.slice(from).map(({ ready }) => ready));
  }
  const list = await services.until(({ length }) => length === many);
  expect(new Set(list.map(({ address }) => address)).size).toBe(many);
  expect(new Set(Array.from({ length: many }, () => services.pick().id)).size).toBe(many);
  for (let from = 0; from < many; from += wave) {
    await Promise.all(registers.slice(from, from + wave).map((register) => register.close()));
  }
  await services.until(({ length }) => length === 0);
  await services.close();
  await until(async () => (await leasesOf(lab.endpoint)).length === 0);
  await client.close();
  await until(() => resources() <= before, { message: () => `${process.getActiveResourcesInfo()}` });
  process.off("warning", onWarning);
  expect(warnings).toEqual([]);
});
