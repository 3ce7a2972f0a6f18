import { expect, test } from "vitest";
import { InvalidValueError } from "../../recipes/index.ts";
import { decodeRegistration } from "../../recipes/registration-format/internal.ts";
import { deep, nastyText } from "./hostile-values.ts";

// Each thing that a registration is checked for, by a value that only this check refuses.

const kratos = (endpoint: string, weight = "1") =>
  JSON.stringify({ endpoints: [endpoint], metadata: { weight, secret: "hunter2" } });

const refused: Readonly<Record<string, string>> = {
  "an address that was not UTF-8": "hunter2\ufffd:80",
  "an address of two": "hunter2:80,b:80",
  "an address longer than any": `hunter2${"a".repeat(3_000)}`,
  "a number that could be a host": "8080",
  "an array without a space": "[1,2]",
  "an Addr with a line break": '{"Addr":"hunter2\\n:80"}',
  "an Addr that was not UTF-8": '{"Addr":"hunter2\ufffd:80"}',
  "an Addr with a terminal escape": '{"Addr":"hunter2\\u001b[2J:80"}',
  "a weight below 0": '{"Addr":"hunter2:80","Metadata":{"etcd-recipes/weight":-1}}',
  "a weight beyond all numbers": '{"Addr":"hunter2:80","Metadata":{"etcd-recipes/weight":1e999}}',
  "a weight as text": '{"Addr":"hunter2:80","Metadata":{"etcd-recipes/weight":"9"}}',
  "draining as text": '{"Addr":"hunter2:80","Metadata":{"etcd-recipes/draining":"false"}}',
  "kratos without endpoints": '{"endpoints":null,"metadata":{"secret":"hunter2"}}',
  "kratos with an endpoint that is no URL": kratos("hunter2:80"),
  "kratos with a space in its host": kratos("grpc://hunter2 b:80"),
  "kratos with a port that is none": kratos("grpc://hunter2:99999"),
  "kratos with a bell in its zone": kratos("grpc://[fe80::1%\u0007hunter2]:80"),
  "kratos with numbers for endpoints": '{"endpoints":[1],"metadata":{"secret":"hunter2"}}',
  "JSON that ends in between": '{"Addr":"hunter2:80"',
  [`an address of ${JSON.stringify(nastyText)}`]: `hunter2${nastyText}`,
};

test.each(Object.entries(refused))("%s is refused, and no part of the value is shown", (_, text) => {
  let thrown: unknown;
  try {
    decodeRegistration(text);
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toBeInstanceOf(InvalidValueError);
  const { message, stack, cause } = thrown as InvalidValueError;
  expect(`${message} ${stack} ${String(cause)}`).not.toContain("hunter2");
  expect(message.length).toBeLessThan(120);
});

test("a weight that no balancer can count with is the usual one where it is text", () => {
  for (const weight of ["9".repeat(400), "-1", "NaN", "1e3", "0x10", ""]) {
    expect(decodeRegistration(kratos("grpc://a:80", weight)).weight).toBe(1);
  }
  expect(decodeRegistration(kratos("grpc://a:80", "2.5")).weight).toBe(2.5);
});

test("metadata as deep as a megabyte allows is read, and not gone through", () => {
  const { metadata } = decodeRegistration(`{"Addr":"a:80","Metadata":{"deep":${deep(150_000)}}}`);
  expect(Object.keys(metadata as object)).toEqual(["deep"]);
  expect(decodeRegistration(`{"endpoints":["grpc://a:80"],"metadata":{"deep":${deep(150_000)}}}`).address).toBe("a:80");
});
