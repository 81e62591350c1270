import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DOCX } from '../../src/ingestion/parsers/parsed.js';
import { parserFor } from '../../src/ingestion/parsers/registry.js';
import { bounds, openRange, type Range } from './bomb-range.js';
import { docx, documentXml, external, paragraph } from './bombs.js';

let range: Range;
let sentinel: Server;
let calls = 0;

beforeAll(async () => {
  range = await openRange();
  sentinel = createServer((socket) => {
    calls += 1;
    socket.destroy();
  }).listen(0, '127.0.0.1');
  await once(sentinel, 'listening');
});
afterAll(async () => {
  sentinel?.close();
  await range?.close();
});

const address = () => `http://127.0.0.1:${(sentinel.address() as AddressInfo).port}`;

const picture = (id: string) =>
  `<w:p><w:r><w:drawing><a:graphic><a:graphicData><a:blip r:link="${id}" r:embed="${id}"/></a:graphicData></a:graphic></w:drawing></w:r></w:p>`;

describe('Word files', () => {
  it.each([
    ['a file', () => '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>'],
    ['another host', () => `<!DOCTYPE x [<!ENTITY e SYSTEM "${address()}/e">]>`],
    ['a DTD elsewhere', () => `<!DOCTYPE x SYSTEM "${address()}/x.dtd">`],
    [
      'itself, a billion times',
      () =>
        `<!DOCTYPE x [<!ENTITY a "ha">${Array.from({ length: 30 }, (_, n) => `<!ENTITY a${n} "&a;&a;">`).join('')}]>`,
    ],
  ])('26: an entity that names %s is refused, and nothing is asked for', async (_, doctype) => {
    const content = documentXml(paragraph('&e;')).replace('?>', `?>${doctype()}`);
    expect(await range.endOf('entity.docx', docx('', [{ name: 'word/document.xml', content }]))).toBe(
      'unsafe_document',
    );
    expect(calls).toBe(0);
  });

  it('27: a million numeric entities cost no more than their letters, and are refused when they are all the same', async () => {
    let seed = 1; // no pattern that packing would find
    const letters = Array.from({ length: 1_000_000 }, () => 65 + ((seed = (seed * 48_271) % 2_147_483_647) % 26));
    const text = await range.textOf('flood.docx', docx(paragraph(letters.map((code) => `&#${code};`).join(''))));
    expect(text).toBe(String.fromCharCode(...letters.slice(0, 100)) + text.slice(100));
    expect(text).toHaveLength(1_000_000);
    expect(await range.endOf('same.docx', docx(paragraph('&#65;'.repeat(1_000_000))))).toBe('decompression_limit');
  });

  it('28: pictures and links elsewhere are not fetched', async () => {
    const bytes = docx(paragraph('Words.') + picture('file') + picture('web') + picture('cloud'), [
      external(
        ['file', 'image', 'file:///etc/passwd'],
        ['web', 'image', `${address()}/pixel.png`],
        ['cloud', 'image', 'http://169.254.169.254/latest'],
        ['template', 'attachedTemplate', `${address()}/template.dotm`],
      ),
    ]);
    expect(await range.textOf('pictures.docx', bytes)).toBe('Words.');
    expect(calls).toBe(0);
  });

  it('29: styles and properties named __proto__ change nothing but their paragraph', async () => {
    const names = ['__proto__', 'constructor', 'prototype', 'toString'];
    const body = names.map((name) => paragraph(name, `<w:pPr><w:pStyle w:val="${name}"/></w:pPr>`)).join('');
    const styles = names.map(
      (name) => `<w:style w:type="paragraph" w:styleId="${name}"><w:name w:val="polluted"/></w:style>`,
    );
    const content = `<w:styles xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main">${styles.join('')}</w:styles>`;
    const bytes = docx(body, [{ name: 'word/styles.xml', content }]);
    const before = Object.getOwnPropertyNames(Object.prototype);
    const { text } = await (await parserFor(DOCX)).parse(bytes, bounds);
    expect(text).toContain('constructor');
    expect(Reflect.get({}, 'polluted')).toBeUndefined();
    expect(Object.getOwnPropertyNames(Object.prototype)).toEqual(before);
    expect(await range.textOf('styles.docx', bytes)).toBe(text);
  });

  it('30: 50,000 nested elements are refused, and the next file is read', async () => {
    const nested = docx(`${'<w:sdt><w:sdtContent>'.repeat(25_000)}${paragraph('deep')}`);
    expect(nested.length).toBeLessThan(10_000);
    expect(await range.endOf('nested.docx', nested)).toBe('nesting_too_deep');
    expect(await range.textOf('next.docx', docx(paragraph('Next.')))).toBe('Next.');
  });
});
