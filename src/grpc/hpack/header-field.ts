/** What each field counts beside its name and its value (RFC 7541, section 4.1). */
export const FIELD_OVERHEAD = 32;

/** A field as it stands in a table. */
export class HeaderField {
  readonly name: string;
  readonly value: string;
  /** As HPACK and SETTINGS_MAX_HEADER_LIST_SIZE count it. */
  readonly size: number;
  /** What its reader takes it for, noted when it is read first: a field of the table is read again and again. */
  kind = 0;

  constructor(name: string, value: string) {
    this.name = name;
    this.value = value;
    this.size = name.length + value.length + FIELD_OVERHEAD;
  }
}
