// A document on standard input -> what @asyncapi/parser says of it, Avro payloads included, as JSON.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const load = createRequire(join(process.argv[2], 'node_modules', 'x'));
const { Parser } = load('@asyncapi/parser');
const { AvroSchemaParser } = load('@asyncapi/avro-schema-parser');

const parser = new Parser();
parser.registerSchemaParser(AvroSchemaParser());
const { document, diagnostics } = await parser.parse(readFileSync(0, 'utf8'));
const channels = document ? document.channels().all() : [];
process.stdout.write(JSON.stringify({
  version: document ? document.version() : null,
  channels: Object.fromEntries(channels.map((each) => [each.id(), each.messages().all().map((one) => one.id())])),
  diagnostics: diagnostics.map(({ code, message, path, severity }) => ({ code, message, path: path.join('/'), severity })),
}));
