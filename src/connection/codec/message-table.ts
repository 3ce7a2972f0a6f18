import {
  atEnd,
  endOfMessage,
  readInt64Decimal,
  readMessage,
  readUint64Decimal,
  type WireReader,
} from "./wire-reader.ts";
import { bytesTag, newMessage, varintTag, type WireWriter } from "./wire-writer.ts";

/**
 * How the fields of one message stand on the wire: `{ name: [number, type] }`, where a type is a scalar, a table of its
 * own for a message within, `enumOf(…)`, or `repeated(…)` of one of these.
 */
export interface MessageTable {
  readonly [field: string]: readonly [number: number, type: FieldType];
}

export type FieldType = ItemType | RepeatedType;
type ItemType = ScalarType | EnumType | MessageTable;
type ScalarType = "string" | "bytes" | "bool" | "uint32" | "int64" | "uint64";

class EnumType {
  readonly numbers: Readonly<Record<string, number>>;
  readonly names: ReadonlyMap<number, string>;

  constructor(numbers: Readonly<Record<string, number>>) {
    this.numbers = numbers;
    this.names = new Map(Object.entries(numbers).map(([name, number]) => [number, name]));
  }
}

class RepeatedType {
  readonly of: ItemType;

  constructor(of: ItemType) {
    this.of = of;
  }
}

export const enumOf = (numbers: Readonly<Record<string, number>>): FieldType => new EnumType(numbers);
export const repeated = (of: ItemType): FieldType => new RepeatedType(of);

/** A message as etcd3's types have it: int64 as decimals, enums by name, bytes as Buffers. */
export type Message = Record<string, unknown>;

/** Fields that are missing stay away, as proto3 has it. */
export function encodeMessage(table: MessageTable, message: Message): Buffer {
  const writer = newMessage();
  writeFields(writer, table, message);
  return writer.finish();
}

/** Fields that the table does not have are skipped; those that the message does not have get proto3's default. */
export function decodeMessage(table: MessageTable, bytes: Buffer): Message {
  return readMessage(bytes, (reader, end) => readFields(reader, table, end));
}

function writeFields(writer: WireWriter, table: MessageTable, message: Message): void {
  for (const [name, [number, type]] of Object.entries(table)) {
    const value = message[name];
    if (value === undefined || value === null) continue;
    if (type instanceof RepeatedType) for (const each of value as unknown[]) writeField(writer, number, type.of, each);
    else writeField(writer, number, type, value);
  }
}

function writeField(writer: WireWriter, number: number, type: ItemType, value: unknown): void {
  if (type === "string") writer.uint32(bytesTag(number)).string(String(value));
  else if (type === "bytes") writer.uint32(bytesTag(number)).bytes(asBytes(value));
  else if (type === "bool") writer.uint32(varintTag(number)).bool(value === true);
  else if (type === "uint32") writer.uint32(varintTag(number)).uint32(Number(value));
  else if (type === "int64" || type === "uint64") {
    const bits = BigInt.asUintN(64, BigInt(String(value)));
    writer.uint32(varintTag(number)).halves(Number(bits & 0xffff_ffffn), Number(bits >> 32n));
  } else if (type instanceof EnumType) {
    const byName = typeof value === "string" ? type.numbers[value] : value;
    if (typeof byName !== "number") throw new TypeError(`etcd's protocol has no ${String(value)} here`);
    writer.uint32(varintTag(number)).uint32(byName);
  } else {
    writer.uint32(bytesTag(number)).fork();
    writeFields(writer, type as MessageTable, value as Message);
    writer.ldelim();
  }
}

function readFields(reader: WireReader, table: MessageTable, end: number): Message {
  const message: Message = {};
  for (const [name, [, type]] of Object.entries(table)) message[name] = defaultOf(type);
  const byNumber = fieldsByNumber(table);
  while (!atEnd(reader, end)) {
    const tag = reader.uint32();
    const field = byNumber.get(tag >>> 3);
    if (!field || (tag & 7) !== field.wireType) {
      reader.skip(tag);
      continue;
    }
    const value = readField(reader, field.type);
    if (field.repeated) (message[field.name] as unknown[]).push(value);
    else message[field.name] = value;
  }
  return message;
}

function readField(reader: WireReader, type: ItemType): unknown {
  if (type === "string") return reader.string();
  // A copy: what is read here is kept, and the message around it is not.
  if (type === "bytes") return Buffer.from(reader.bytes());
  if (type === "bool") return reader.bool();
  if (type === "uint32") return reader.uint32() >>> 0;
  if (type === "int64") return readInt64Decimal(reader);
  if (type === "uint64") return readUint64Decimal(reader);
  if (type instanceof EnumType) {
    const number = reader.uint32();
    return type.names.get(number) ?? number;
  }
  return readFields(reader, type as MessageTable, endOfMessage(reader));
}

function defaultOf(type: FieldType): unknown {
  if (type instanceof RepeatedType) return [];
  if (type instanceof EnumType) return type.names.get(0);
  if (type === "string") return "";
  if (type === "bytes") return Buffer.alloc(0);
  if (type === "bool") return false;
  if (type === "uint32") return 0;
  return type === "int64" || type === "uint64" ? "0" : null;
}

function wireTypeOf(type: ItemType): number {
  return type === "bool" || type === "uint32" || type === "int64" || type === "uint64" || type instanceof EnumType
    ? 0
    : 2;
}

interface NumberedField {
  readonly name: string;
  readonly type: ItemType;
  readonly wireType: number;
  readonly repeated: boolean;
}

const numbered = new WeakMap<MessageTable, ReadonlyMap<number, NumberedField>>();

function fieldsByNumber(table: MessageTable): ReadonlyMap<number, NumberedField> {
  let fields = numbered.get(table);
  if (!fields) {
    fields = new Map(Object.entries(table).map(([name, [number, type]]) => [number, numberedField(name, type)]));
    numbered.set(table, fields);
  }
  return fields;
}

function numberedField(name: string, of: FieldType): NumberedField {
  const repeatedly = of instanceof RepeatedType;
  const type = repeatedly ? of.of : of;
  return { name, type, wireType: wireTypeOf(type), repeated: repeatedly };
}

function asBytes(value: unknown): Uint8Array {
  return typeof value === "string" ? Buffer.from(value) : (value as Uint8Array);
}
