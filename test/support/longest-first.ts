import { BaseSequencer, type TestSpecification } from "vitest/node";

/** What computes and needs no etcd fills the time in which the last of the others wait. */
const last = ["checkout", "mocking", "logic"];

/** What takes half a minute or more, the longest first. One that is missing here only begins later than it could. */
export const longest = [
  "test/src/secure/etcdctl.test.ts",
  "test/cli/lists.test.ts",
  "test/src/secure/roles.test.ts",
  "test/src/lease/members.test.ts",
  "test/misuse/before-and-after.test.ts",
  "test/src/grpc/differential.test.ts",
  "test/cli/programs.test.ts",
  "test/recipes/cache-expirer/real-leases.test.ts",
  "test/testing/tls.test.ts",
  "test/testing/auth.test.ts",
  "test/misuse/options.test.ts",
  "test/doors/undici.test.ts",
  "test/recipes/candidacy/history.test.ts",
  "test/src/connection/balancer.test.ts",
  "test/docs/snippets.test.ts",
  "test/src/lease/outage.test.ts",
  "test/recipes/queue/crowd.test.ts",
  "test/doors/grpc-js.test.ts",
  "test/src/grpc/leaves-nothing.test.ts",
  "test/src/secure/auth.test.ts",
  "test/src/secure/three-members.test.ts",
  "test/recipes/confirmation/outage.test.ts",
  "test/recipes/registration-group/deaf-watch.test.ts",
  "test/cli/doctor.test.ts",
  "test/recipes/service-register/program.test.ts",
  "test/src/secure/three-members-tls.test.ts",
  "test/examples/engine/whole-engine.test.ts",
  "test/examples/engine/demo.test.ts",
  "test/src/lease/crowds.test.ts",
  "test/examples/engine/tasks.test.ts",
];

/**
 * The order of the files, within what runs together: project by project, and those first that take longest, so that a
 * run does not end with one file on an idle machine. Vitest goes by their size where it has seen no run before.
 */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const order = ({ project }: TestSpecification) => project.config.sequence.groupOrder;
    const stage = ({ project }: TestSpecification) => last.indexOf(project.name);
    const rank = ({ moduleId }: TestSpecification) => {
      const found = longest.findIndex((path) => moduleId.endsWith(path));
      return found < 0 ? longest.length : found;
    };
    const sorted = await super.sort(files);
    // Files of a project stay together: they share processes.
    const names = [...new Set(sorted.map(({ project }) => project.name))];
    const ofProject = ({ project }: TestSpecification) => names.indexOf(project.name);
    return sorted.sort(
      (a, b) => order(a) - order(b) || stage(a) - stage(b) || ofProject(a) - ofProject(b) || rank(a) - rank(b),
    );
  }
}
