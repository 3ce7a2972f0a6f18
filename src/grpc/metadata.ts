/**
 * Fields beside the message: of a request, or of a response's headers and trailers together.
 *
 * Names are lower case. A name that ends with `-bin` has bytes as its value, every other one has printable ASCII. The
 * same array given again costs nothing: its header block is kept with it. So keep one array for as long as its fields
 * stay the same, and never change it.
 */
export type Metadata = readonly (readonly [name: string, value: string | Uint8Array])[];
