import { expect, test } from "vitest";
import { matchServers } from "../../../recipes/balancer/match-servers.ts";

const earlier = ["a", "b", "c", "d", "e", "f", "g", "h"];

test.each([
  ["the same", "abcdefgh", [0, 1, 2, 3, 4, 5, 6, 7]],
  ["one replaced", "abXdefgh", [0, 1, -1, 3, 4, 5, 6, 7]],
  ["six replaced", "UVWXYZgh", [-1, -1, -1, -1, -1, -1, 6, 7]],
  ["one left out", "abdefgh", [0, 1, 3, 4, 5, 6, 7]],
  ["three left out", "abfgh", [0, 1, 5, 6, 7]],
  ["one at the end", "abcdefghX", [0, 1, 2, 3, 4, 5, 6, 7, -1]],
  ["the last one in the place of one that left", "abhdefg", [0, 1, -1, 3, 4, 5, 6]],
  ["others", "XYZ", [-1, -1, -1]],
  ["none", "", []],
])("%s", (_, servers, positions) => {
  expect([...matchServers([...servers], earlier)]).toEqual(positions);
});
