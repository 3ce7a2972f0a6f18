// What other recipes use of this room, and its users do not see.
export { RegisteredNode } from "./registered-node.ts";
