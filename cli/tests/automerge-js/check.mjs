// Opens every automerge file of an export with automerge for JavaScript and prints what it holds, as one
// JSON object by path below the directory, in the JSON form Starling gives documents.
//
// Usage: node check.mjs DIRECTORY
import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import * as Automerge from "@automerge/automerge";

const root = process.argv[2];

function form(value) {
  // The numbers of the check are exact as either.
  if (typeof value === "bigint") return Number(value);
  if (typeof value === "string") return { $text: value };
  if (Automerge.isImmutableString(value)) return value.toString();
  if (Automerge.isCounter(value)) return { $counter: Number(value.value) };
  if (value instanceof Date) return { $time: value.toISOString() };
  if (value instanceof Uint8Array) return { $bytes: Buffer.from(value).toString("base64") };
  if (Array.isArray(value)) return value.map(form);
  if (value !== null && typeof value === "object")
    return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, form(member)]));
  return value;
}

const found = {};
for (const entry of readdirSync(root, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile()) continue;
  const path = join(entry.parentPath, entry.name);
  const document = Automerge.load(readFileSync(path));
  const changes = Automerge.getAllChanges(document).length;
  found[relative(root, path)] = { value: form(document), heads: Automerge.getHeads(document), changes };
}
console.log(JSON.stringify(found));
