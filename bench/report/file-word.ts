/**
 * A name as a part of a file name and of an XML id: all characters but letters, digits and dashes
 * become dashes.
 */
export function fileWordOf(name: string): string {
  return name.replaceAll(/[^A-Za-z0-9-]/g, '-')
}
