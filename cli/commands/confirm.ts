import { Confirmation } from "../../recipes/index.ts";
import type { Command, CommandOption, Context } from "../command.ts";
import { durationText } from "../duration.ts";
import { ownName } from "../hold-options.ts";
import { timeField } from "../json-fields.ts";
import { printable } from "../output.ts";

const by = {
  type: "string",
  value: "NAME",
  help: "who decides; host and process id by default",
} as const satisfies CommandOption;

export const confirmList: Command = {
  name: "confirm ls",
  arguments: ["PREFIX"],
  summary: "the confirmations that wait for a decision",
  async run(context) {
    await using confirmation = confirmationOf(context);
    const pending = await confirmation.pending(context.call);
    context.output.table(
      ["id", "left"],
      pending,
      ({ id, deadline }) => ({ id, left: durationText(deadline - Date.now()) }),
      ({ id, deadline }) => ({ id, deadline: timeField(deadline) }),
    );
    return undefined;
  },
};

export const confirmApprove: Command = {
  name: "confirm approve",
  arguments: ["PREFIX", "ID"],
  summary: "approves one",
  options: { by },
  async run(context) {
    const { words, options, output, call } = context;
    const [, id = ""] = words;
    await using confirmation = confirmationOf(context);
    await confirmation.approve(id, nameOf(options), call);
    output.say({ id, decision: "approved" }, `approved ${printable(id)}`);
    return undefined;
  },
};

export const confirmReject: Command = {
  name: "confirm reject",
  arguments: ["PREFIX", "ID", "[REASON]"],
  summary: "rejects one",
  options: { by },
  async run(context) {
    const { words, options, output, call } = context;
    const [, id = "", reason] = words;
    await using confirmation = confirmationOf(context);
    await confirmation.reject(id, nameOf(options), reason, call);
    output.say({ id, decision: "rejected" }, `rejected ${printable(id)}`);
    return undefined;
  },
};

function confirmationOf({ words: [prefix = ""], etcd, output }: Context): Confirmation {
  const confirmation = new Confirmation(prefix, { client: etcd() });
  confirmation.on("warning", (error) => output.warning(error));
  return confirmation;
}

function nameOf({ by: name }: Context["options"]): string {
  return (name as string | undefined) ?? ownName();
}
