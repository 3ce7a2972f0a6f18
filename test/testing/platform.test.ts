import { afterEach, expect, test } from "vitest";
import { startEtcd } from "../../testing/index.ts";

const { platform } = process;

// vi.stubEnv() has no counterpart for it. The project "alone" gives this file a process of its own.
const pretend = (name: string) => Object.defineProperty(process, "platform", { value: name });
afterEach(() => pretend(platform));

test("where members cannot be paused and killed by signals, startEtcd() says so", async () => {
  pretend("win32");
  await expect(startEtcd()).rejects.toMatchObject({
    code: "ETCD_START_FAILED",
    message: "startEtcd() needs Linux or macOS: it pauses and kills members by signals",
  });
});
