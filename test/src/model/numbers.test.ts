import { describe, expect, test } from "vitest";
import { type LeaseId, leaseId, putOp } from "../../../src/index.ts";
import { leaseIdFromDecimal, leaseIdToDecimal } from "../../../src/model/lease-id.ts";
import { revisionFromDecimal } from "../../../src/model/revision.ts";

test("a revision that a number cannot hold exactly throws, it is never rounded", () => {
  expect(revisionFromDecimal("9007199254740991")).toBe(2 ** 53 - 1);
  expect(() => revisionFromDecimal("9007199254740992")).toThrow(expect.objectContaining({ code: "ETCD_PROTOCOL" }));
  expect(() => revisionFromDecimal("9223372036854775807")).toThrow(expect.objectContaining({ code: "ETCD_PROTOCOL" }));
});

describe("a lease id", () => {
  test("is the same in hex, as etcdctl prints it, and in the protocol's decimals", () => {
    expect(leaseIdFromDecimal("7587862094673632515")).toBe("694d805f75ac5d03");
    expect(leaseIdToDecimal(leaseId("694D805F75AC5D03"))).toBe("7587862094673632515");
    expect(leaseId("00ff")).toBe("ff");
    expect(leaseIdFromDecimal("0")).toBeUndefined();
  });

  test("that is none is refused", () => {
    for (const hex of ["", "0", "xyz", "8000000000000000", "12345678901234567", "-1"]) {
      expect(() => leaseId(hex)).toThrow(expect.objectContaining({ code: "ETCD_INVALID_OPTION" }));
    }
  });

  test.each(["0", "0694d81417acd475", "00ff", "FF"])("%s is not one before leaseId() has made it one", (hex) => {
    expect(() => putOp("k", "v", { lease: hex as LeaseId })).toThrow(
      expect.objectContaining({ code: "ETCD_INVALID_OPTION", option: "lease" }),
    );
  });
});
