/** A name as a part of a file name and of an XML id: anything but letters, digits and dashes becomes a dash. */
export function fileWordOf(name: string): string {
  return name.replaceAll(/[^A-Za-z0-9-]/g, '-')
}
