import { crc32, deflateRawSync, deflateSync, constants } from 'node:zlib';

/** A part of a ZIP, with what it says of itself and what is true set apart. */
export interface Part {
  name: string;
  content: string | Buffer;
  /** The name in front of the part's bytes, where it differs from the directory's. */
  localName?: string;
  /** The unpacked size that is declared. */
  declared?: number;
  /** `content` is already packed. */
  packed?: boolean;
  /** Unix file mode: 0o120777 is a symbolic link. */
  mode?: number;
  /** Where the directory says that the part begins. */
  offset?: number;
}

export function zip(parts: readonly Part[]): Buffer {
  const locals: Buffer[] = [];
  const directory: Buffer[] = [];
  let length = 0;
  for (const { name, content, localName = name, declared, packed = false, mode = 0o100644, offset = length } of parts) {
    const bytes = Buffer.from(content as string);
    const data = packed ? bytes : deflateRawSync(bytes);
    const head = Buffer.alloc(26);
    head.writeUInt16LE(20, 0);
    head.writeUInt16LE(8, 4);
    head.writeUInt32LE(packed ? 0 : crc32(bytes), 10);
    head.writeUInt32LE(data.length, 14);
    head.writeUInt32LE(declared ?? bytes.length, 18);
    head.writeUInt16LE(Buffer.byteLength(localName), 22);
    const local = Buffer.concat([Buffer.from('PK\x03\x04'), head, Buffer.from(localName), data]);
    head.writeUInt16LE(Buffer.byteLength(name), 22);
    const tail = Buffer.alloc(14);
    tail.writeUInt32LE((mode << 16) >>> 0, 6);
    tail.writeUInt32LE(offset, 10);
    directory.push(Buffer.from('PK\x01\x02'), Buffer.from([20, 3]), head, tail, Buffer.from(name));
    locals.push(local);
    length += local.length;
  }
  const listing = Buffer.concat(directory);
  const end = Buffer.alloc(18);
  end.writeUInt16LE(parts.length & 0xffff, 4);
  end.writeUInt16LE(parts.length & 0xffff, 6);
  end.writeUInt32LE(listing.length, 8);
  end.writeUInt32LE(length, 12);
  return Buffer.concat([...locals, listing, Buffer.from('PK\x05\x06'), end]);
}

const mebibyte = 1024 * 1024;

/** Raw deflate data that unpacks to so many MiB of spaces, made without ever holding them: one block, repeated. */
export function deflated(mib: number): Buffer {
  const block = deflateRawSync(Buffer.alloc(mebibyte, 0x20), { finishFlush: constants.Z_SYNC_FLUSH });
  return Buffer.concat([...Array.from({ length: mib }, () => block), deflateRawSync(Buffer.alloc(0))]);
}

const types = (main: string) =>
  `<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">
<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>
<Default Extension="xml" ContentType="application/xml"/>
<Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-officedocument.${main}.main+xml"/></Types>`;

const rels = (inner: string) =>
  `<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">${inner}</Relationships>`;

const office = 'http://schemas.openxmlformats.org/officeDocument/2006/relationships';

/** A Word file around the inside of its body, with parts added or replaced. */
export function docx(body: string, more: readonly Part[] = []): Buffer {
  const parts: Part[] = [
    { name: '[Content_Types].xml', content: types('wordprocessingml.document') },
    {
      name: '_rels/.rels',
      content: rels(`<Relationship Id="r" Type="${office}/officeDocument" Target="word/document.xml"/>`),
    },
    { name: 'word/document.xml', content: documentXml(body) },
  ];
  const replaced = new Set(more.map(({ name }) => name));
  return zip([...parts.filter(({ name }) => !replaced.has(name)), ...more]);
}

export const documentXml = (body: string) =>
  `<?xml version="1.0"?><w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main" xmlns:r="${office}"
 xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"><w:body>${body}</w:body></w:document>`;

export const paragraph = (text: string, properties = '') => `<w:p>${properties}<w:r><w:t>${text}</w:t></w:r></w:p>`;

/** The relationships of a document's body: `[id, kind, target]`, all outside of the file. */
export const external = (...targets: [string, string, string][]): Part => ({
  name: 'word/_rels/document.xml.rels',
  content: rels(
    targets
      .map(
        ([id, kind, target]) =>
          `<Relationship Id="${id}" Type="${office}/${kind}" Target="${target}" TargetMode="External"/>`,
      )
      .join(''),
  ),
});

/** Any other office file, which lives in the same kind of container. */
export const officeFile = (
  kind: 'spreadsheetml.sheet' | 'presentationml.presentation',
  parts: readonly Part[],
): Buffer => zip([{ name: '[Content_Types].xml', content: types(kind) }, ...parts]);

/** A workbook of one sheet; the other parts are what the bomb is made of. */
export const workbook = (more: readonly Part[]): Buffer =>
  officeFile('spreadsheetml.sheet', [
    {
      name: '_rels/.rels',
      content: rels(`<Relationship Id="r" Type="${office}/officeDocument" Target="xl/workbook.xml"/>`),
    },
    {
      name: 'xl/workbook.xml',
      content: `<workbook xmlns:r="${office}"><sheets><sheet name="S" r:id="s"/></sheets></workbook>`,
    },
    {
      name: 'xl/_rels/workbook.xml.rels',
      content: rels(
        `<Relationship Id="s" Type="${office}/worksheet" Target="worksheets/sheet1.xml"/><Relationship Id="t" Type="${office}/sharedStrings" Target="sharedStrings.xml"/>`,
      ),
    },
    ...more,
  ]);

export const sheet = (rows: string, before = '', after = ''): Part => ({
  name: 'xl/worksheets/sheet1.xml',
  content: `<worksheet>${before}<sheetData>${rows}</sheetData>${after}</worksheet>`,
});

const font = '<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>';

/** A PDF of these objects, numbered from 1, the first being its catalogue; readers rebuild the missing table. */
export function pdf(objects: readonly (string | Buffer)[], trailer = ''): Buffer {
  const parts = objects.map((body, index) =>
    Buffer.concat([Buffer.from(`${index + 1} 0 obj\n`), Buffer.from(body as string), Buffer.from('\nendobj\n')]),
  );
  return Buffer.concat([
    Buffer.from('%PDF-1.7\n'),
    ...parts,
    Buffer.from(`trailer\n<</Root 1 0 R${trailer}>>\n%%EOF\n`),
  ]);
}

/** One page with this content stream; `more` goes into the catalogue, `extra` are further objects, from number 5. */
export const onePage = (stream: string | Buffer, more = '', extra: readonly string[] = [], resources = `/F1 ${font}`) =>
  pdf([
    `<</Type/Catalog/Pages 2 0 R${more}>>`,
    '<</Type/Pages/Kids[3 0 R]/Count 1>>',
    `<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents 4 0 R/Resources<</Font<<${resources}>>>>>>`,
    stream,
    ...extra,
  ]);

export const shown = (text: string) => `BT /F1 12 Tf 50 700 Td (${text}) Tj ET\n`;

/** A content stream that is packed `layers` times over. */
export function packedStream(content: Buffer, layers = 1): Buffer {
  let data = content;
  for (let layer = 0; layer < layers; layer += 1) data = deflateSync(data);
  const head = `<</Length ${data.length}/Filter[${'/FlateDecode'.repeat(layers)}]>>\nstream\n`;
  return Buffer.concat([Buffer.from(head), data, Buffer.from('\nendstream')]);
}

export const plainStream = (content: string, length = content.length) =>
  `<</Length ${length}>>\nstream\n${content}\nendstream`;
