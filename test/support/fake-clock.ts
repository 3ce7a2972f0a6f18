export { FakeClock, settled } from "../../testing/fake-etcd/fake-clock.ts";
