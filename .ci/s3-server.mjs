// An S3 server for tests: `node --openssl-legacy-provider .ci/s3-server.mjs <folder>` prints the S3_* settings that lead
// to it, as lines for a shell to evaluate, and answers until it is told to end (SIGTERM).
//
// It is s3rver, which speaks S3's XML and knows its key by name (it does not check version 4 signatures), with what it
// lacks or does otherwise than S3 added here:
// - an object is written aside and then renamed (s3rver answers a PUT before its file is whole, and writes over it in place)
// - AbortMultipartUpload and ListMultipartUploads (s3rver refuses both)
// Its continuation tokens need DES: hence the option of Node's above.
import { createHash, randomUUID } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import { dirname, join, resolve } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import S3rver from 's3rver';

const directory = resolve(process.argv[2] ?? 's3');
const bucket = 'lectern';
const server = new S3rver({ silent: true, directory, vhostBuckets: false, configureBuckets: [{ name: bucket }] });
const { store } = server;

/** Writes a stream to a file in one step. @returns its size and MD5, which is S3's ETag */
async function writeWhole(path, content) {
  await mkdir(dirname(path), { recursive: true });
  const aside = `${path}.${randomUUID()}`;
  const md5 = createHash('md5');
  let size = 0;
  const measure = new Transform({
    transform(part, _encoding, done) {
      md5.update(part);
      size += part.length;
      done(null, part);
    },
  });
  try {
    await pipeline(content, measure, createWriteStream(aside));
    await rename(aside, path);
  } catch (error) {
    await rm(aside, { force: true });
    throw error;
  }
  return { size, md5: md5.digest('hex') };
}

store.putObject = async ({ bucket: name, key, content, metadata }) => {
  const written = await writeWhole(store.getResourcePath(name, key, 'object'), content);
  await store.putMetadata(name, key, metadata, written.md5);
  return written;
};

const uploadsFolder = store.getResourcePath(bucket, undefined, 'uploads');
store.putPart = (_bucket, uploadId, number, content) =>
  writeWhole(join(uploadsFolder, uploadId, String(number)), content);

async function listUploads(prefix) {
  const ids = await readdir(uploadsFolder).catch(() => []);
  const uploads = await Promise.all(
    ids.map(async (id) => ({
      id,
      key: await readFile(join(uploadsFolder, id, 'key'), 'utf8'),
      begun: (await stat(join(uploadsFolder, id, 'key'))).mtime.toISOString(),
    })),
  );
  const entries = uploads
    .filter(({ key }) => key.startsWith(prefix))
    .map(
      ({ id, key, begun }) =>
        `<Upload><Key>${key}</Key><UploadId>${id}</UploadId><Initiated>${begun}</Initiated></Upload>`,
    );
  return `<?xml version="1.0" encoding="UTF-8"?>
<ListMultipartUploadsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Bucket>${bucket}</Bucket><IsTruncated>false</IsTruncated>${entries.join('')}</ListMultipartUploadsResult>`;
}

const answer = server.callback();
const http = createServer(async (request, response) => {
  const { pathname, searchParams } = new URL(request.url, 'http://s3');
  const uploadId = searchParams.get('uploadId');
  if (request.method === 'DELETE' && uploadId) {
    await rm(join(uploadsFolder, uploadId.replaceAll('/', '')), { recursive: true, force: true });
    response.writeHead(204).end();
  } else if (request.method === 'GET' && pathname.replaceAll('/', '') === bucket && searchParams.has('uploads')) {
    response
      .writeHead(200, { 'content-type': 'application/xml' })
      .end(await listUploads(searchParams.get('prefix') ?? ''));
  } else answer(request, response);
});

await mkdir(directory, { recursive: true });
await server.configureBuckets();
http.listen(Number(process.env.S3_PORT ?? 0), '127.0.0.1', () => {
  const settings = {
    S3_ENDPOINT: `http://127.0.0.1:${http.address().port}`,
    S3_BUCKET: bucket,
    S3_ACCESS_KEY_ID: 'S3RVER',
    S3_SECRET_ACCESS_KEY: 'S3RVER',
    S3_FORCE_PATH_STYLE: 'true',
  };
  process.stdout.write(
    `export ${Object.entries(settings)
      .map(([name, value]) => `${name}=${value}`)
      .join(' ')}\n`,
  );
});
process.once('SIGTERM', () => process.exit(0));
