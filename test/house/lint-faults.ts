/**
 * One fault for each rule that the linter has to enforce: rule name → source text with that fault.
 * `lint.test.ts` plants all of them. So it notices if a rule stops reporting when the linter or its
 * settings change. The names are oxlint's: the plugin, then the rule in parentheses.
 */
export const LINT_FAULTS: Readonly<Record<string, string>> = {
  'eslint(no-var)': 'var a = 1\nexport function read(): number {\n  a = 2\n  return a\n}',
  'eslint(prefer-const)': 'let a = 1\nexport { a }',
  'eslint(prefer-rest-params)':
    'export function count(): number {\n  return Array.from(arguments).length\n}',
  'eslint(prefer-spread)':
    'export function most(list: number[]): number {\n  return Math.max.apply(Math, list)\n}',
  'eslint(eqeqeq)': 'export function same(a: number, b: number): boolean {\n  return a == b\n}',
  'eslint(no-console)': "console.log('a')",
  'eslint(max-lines)': `${'// line\n'.repeat(501)}export const a = 1`,
  'eslint(max-lines-per-function)': `export function long(): number {\n  let a = 0\n${'  a += 1\n'.repeat(70)}  return a\n}`,
  'unicorn(prefer-node-protocol)': "import { join } from 'path'\nexport const a = join('a', 'b')",
  'eslint(no-array-constructor)': 'export const list = new Array(0, 1, 2)',
  'eslint(no-unused-expressions)': 'export function look(a: { b: number }): void {\n  a.b\n}',
  'eslint(no-unused-vars)': 'const a = 1\nexport const b = 2',
  'eslint(no-useless-constructor)': 'export class A {\n  constructor() {}\n  b = 1\n}',
  'import(no-default-export)': 'export default 1',
  'oxc(no-barrel-file)': "export * from './index.js'",
  'typescript(await-thenable)':
    'export async function wait(): Promise<number> {\n  return await 1\n}',
  'typescript(ban-ts-comment)': '// @ts-ignore\nexport const a: number = 1',
  'typescript(no-array-delete)':
    'export function drop(list: number[]): void {\n  delete list[0]\n}',
  'typescript(no-base-to-string)': 'export const a = String({})',
  'typescript(no-confusing-void-expression)':
    'export function say(f: () => void): void {\n  const a = [1].map(() => f())\n  void a\n}',
  'typescript(no-deprecated)':
    '/** @deprecated old */\nfunction old(): number {\n  return 1\n}\nexport const a = old()',
  'typescript(no-duplicate-enum-values)': 'export enum A {\n  b = 1,\n  c = 1,\n}',
  'typescript(no-duplicate-type-constituents)': 'export type A = string | string',
  'typescript(no-dynamic-delete)':
    'export function drop(map: Record<string, number>, key: string): void {\n  delete map[key]\n}',
  'typescript(no-empty-object-type)': 'export type A = {}',
  'typescript(no-explicit-any)': 'export type A = any',
  'typescript(no-extra-non-null-assertion)':
    'export function get(a: string | undefined): string {\n  return a!!\n}',
  'typescript(no-extraneous-class)':
    'export class A {\n  static b(): number {\n    return 1\n  }\n}',
  'typescript(no-floating-promises)':
    'export function start(p: () => Promise<void>): void {\n  p()\n}',
  'typescript(no-for-in-array)':
    'export function walk(list: number[]): string {\n  for (const a in list) return a\n  return String()\n}',
  'typescript(no-implied-eval)': "setTimeout('1', 1)",
  'typescript(no-generated-empty-object-type)':
    'interface A {\n  b: number\n}\nexport type C = Omit<A, keyof A>',
  'typescript(no-invalid-void-type)': 'export type A = void | string',
  'typescript(no-meaningless-void-operator)':
    'export function say(f: () => void): void {\n  void f()\n}',
  'typescript(no-misused-new)': 'export interface A {\n  constructor(): void\n}',
  'typescript(no-misused-promises)':
    'export function test(p: Promise<boolean>): number {\n  if (p) return 1\n  return 2\n}',
  'typescript(no-misused-spread)':
    'export function spread(p: Promise<number>): object {\n  return { ...p }\n}',
  'typescript(no-mixed-enums)': "export enum A {\n  b = 1,\n  c = 'c',\n}",
  'typescript(no-namespace)': 'export namespace A {\n  export const b = 1\n}',
  'typescript(no-non-null-asserted-nullish-coalescing)':
    'export function get(a: { b?: string }): string {\n  return a.b! ?? String()\n}',
  'typescript(no-non-null-asserted-optional-chain)':
    'export function get(a: { b: string } | undefined): string {\n  return a?.b!\n}',
  'typescript(no-non-null-assertion)':
    'export function get(a: string | undefined): string {\n  return a!\n}',
  'typescript(no-redundant-type-constituents)': 'export type A = unknown | string',
  'typescript(no-require-imports)': "const fs = require('node:fs')\nexport const a: unknown = fs",
  'typescript(no-this-alias)':
    'export class A {\n  b = 1\n  c(): number {\n    const self = this\n    return self.b\n  }\n}',
  'typescript(no-unnecessary-boolean-literal-compare)':
    'export function same(a: boolean): boolean {\n  return a === true\n}',
  'typescript(no-unnecessary-condition)':
    'export function get(a: { b: number }): number | undefined {\n  return a?.b\n}',
  'typescript(no-unnecessary-template-expression)': "export const a = `${'b'}`",
  'typescript(no-unnecessary-type-arguments)':
    'function make<T = string>(a?: T): T | undefined {\n  return a\n}\nexport const a = make<string>()',
  'typescript(no-unnecessary-type-assertion)':
    'export function get(a: string): string {\n  return a as string\n}',
  'typescript(no-unnecessary-type-constraint)':
    'export function get<T extends unknown>(a: T): T[] {\n  return [a, a]\n}',
  'typescript(no-unnecessary-type-conversion)':
    'export function get(a: string): string {\n  return String(a)\n}',
  'typescript(no-unnecessary-type-parameters)':
    'export function get<T>(a: T): number {\n  return a === undefined ? 1 : 2\n}',
  'typescript(no-unsafe-argument)': 'declare const a: any\nexport const b = Number.parseInt(a)',
  'typescript(no-unsafe-assignment)': "export const b: string = JSON.parse('1')",
  'typescript(no-unsafe-call)': "import { a } from './untyped.js'\na()",
  'typescript(no-unsafe-class-instance-assignment)':
    'class A {\n  b = 1\n}\nexport const a: A = { b: 1 }',
  'typescript(no-unsafe-declaration-merging)':
    'export interface A {\n  b: number\n}\nexport class A {\n  c = 1\n}',
  'typescript(no-unsafe-enum-assignment)': 'export enum A {\n  b = 1,\n}\nexport const a: A = 1',
  'typescript(no-unsafe-enum-comparison)':
    'enum A {\n  b = 1,\n}\nexport function same(a: A): boolean {\n  return a === 1\n}',
  'typescript(no-unsafe-function-type)': 'export type A = Function',
  'typescript(no-unsafe-member-access)':
    "import { a } from './untyped.js'\nexport const b: unknown = a.b",
  'typescript(no-unsafe-return)':
    'export function parse(text: string): string {\n  return JSON.parse(text)\n}',
  'typescript(no-unsafe-unary-minus)': 'export function less(a: string): number {\n  return -a\n}',
  'typescript(no-useless-default-assignment)':
    'export function get({ a = 1 }: { a: number }): number {\n  return a\n}',
  'typescript(no-wrapper-object-types)': 'export type A = String',
  'typescript(only-throw-error)': "export function fail(): never {\n  throw 'a'\n}",
  'typescript(prefer-as-const)': "export const a = 'b' as 'b'",
  'typescript(prefer-literal-enum-member)': 'export enum A {\n  b = Number(1),\n}',
  'typescript(prefer-namespace-keyword)': 'export declare module A {\n  const b: number\n}',
  'typescript(prefer-promise-reject-errors)': "export const a = Promise.reject('b')",
  'typescript(prefer-reduce-type-parameter)':
    'export const a = [1].reduce((list, b) => [...list, b], [] as number[])',
  'typescript(prefer-return-this-type)':
    'export class A {\n  b = 1\n  c(): A {\n    this.b = 2\n    return this\n  }\n}',
  'typescript(related-getter-setter-pairs)':
    "export class A {\n  #b = 'b'\n  get b(): number {\n    return this.#b.length\n  }\n  set b(b: string) {\n    this.#b = b\n  }\n}",
  'typescript(require-await)': 'export async function get(): Promise<number> {\n  return 1\n}',
  'typescript(restrict-plus-operands)':
    'export function add(a: string, b: number): string {\n  return a + b\n}',
  'typescript(restrict-template-expressions)':
    'export function text(a: object): string {\n  return `a ${a}`\n}',
  'typescript(return-await)':
    'export async function get(p: () => Promise<number>): Promise<number> {\n  try {\n    return p()\n  } catch {\n    return await p()\n  }\n}',
  'typescript(triple-slash-reference)': '/// <reference path="./index.js" />\nexport const a = 1',
  'typescript(unbound-method)':
    'export class A {\n  b = 1\n  c(): number {\n    return this.b\n  }\n}\nexport const c = new A().c',
  'typescript(unified-signatures)':
    'export function get(a: string): void\nexport function get(a: number): void\nexport function get(a: unknown): void {\n  void a\n}',
  'typescript(use-unknown-in-catch-callback-variable)':
    'export function get(p: Promise<number>): void {\n  p.catch((error) => {\n    void error\n  })\n}',
  'typescript(consistent-type-imports)':
    "import { type Stats, statSync } from 'node:fs'\nimport { Dirent } from 'node:fs'\nexport type A = Dirent | Stats\nexport const a = statSync",
  'typescript(explicit-module-boundary-types)': 'export function get() {\n  return 1\n}',
  'typescript(no-import-type-side-effects)':
    "import { type Dirent } from 'node:fs'\nexport type A = Dirent",
  'typescript(switch-exhaustiveness-check)':
    "export function get(a: 'b' | 'c'): number {\n  switch (a) {\n    case 'b':\n      return 1\n  }\n  return 2\n}",
}
