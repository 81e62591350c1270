import { createReadStream } from 'node:fs';
import type { Readable } from 'node:stream';
import {
  AbortMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadBucketCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  NoSuchKey,
  S3Client,
  S3ServiceException,
} from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import type { S3Settings } from '../config.js';
import { ApiError } from '../errors.js';
import { BlobStore, type ListedBlob } from './blobs.js';
import type { StagedBlob, Staging } from './staging.js';

const partBytes = 5 * 1024 * 1024;
const checkMs = 1500;
// Shorter than a claim on a removal holds (blob-claims.ts): after that, the same bytes may be stored anew.
const removeMs = 60_000;

/**
 * Blobs as objects `<prefix><tenant>/<hash>` of one bucket, on AWS or any server that speaks S3.
 *
 * They are uploaded from the staged file and not from the request: their name is their hash, known only once all of it
 * was read; S3 cannot rename, so streaming straight through would take a second key, a copy and a removal, each of which
 * can be left undone, and would hold an upload open for as long as the slowest client takes. A file can be sent again
 * from the start of any part. One upload holds two parts of 5 MB in memory.
 */
export class S3Blobs extends BlobStore {
  private readonly client: S3Client;

  constructor(
    private readonly settings: S3Settings,
    staging: Staging,
  ) {
    super(staging);
    const { endpoint, region, forcePathStyle, connectTimeoutMs, timeoutMs, ...credentials } = settings;
    this.client = new S3Client({
      endpoint: endpoint ?? undefined,
      region,
      forcePathStyle,
      credentials,
      maxAttempts: 3,
      // The SDK's newer default sends each body with a checksum as its trailer, which many other servers store as content.
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      requestHandler: {
        connectionTimeout: connectTimeoutMs,
        requestTimeout: timeoutMs,
        throwOnRequestTimeout: true,
        socketTimeout: timeoutMs,
      },
    });
  }

  async keep(tenantId: string, { path, hash, size }: StagedBlob): Promise<void> {
    const file = createReadStream(path, { highWaterMark: 256 * 1024 });
    const upload = new Upload({
      client: this.client,
      params: { Bucket: this.settings.bucket, Key: this.key(tenantId, hash), Body: file, ContentLength: size },
      partSize: partBytes,
      queueSize: 2,
    });
    try {
      await upload.done();
    } catch (error) {
      throw asApiFailure(error);
    } finally {
      file.destroy();
    }
  }

  async get(tenantId: string, hash: string): Promise<Readable> {
    const command = new GetObjectCommand({ Bucket: this.settings.bucket, Key: this.key(tenantId, hash) });
    const { Body: body } = await this.client.send(command).catch(rethrow);
    return body as Readable;
  }

  async asFile<T>(tenantId: string, hash: string, use: (path: string) => Promise<T>): Promise<T> {
    const staged = await this.staging.write(await this.get(tenantId, hash), Infinity).catch(rethrow);
    try {
      if (staged.hash !== hash) throw new Error(`the object ${tenantId}/${hash} holds other bytes`);
      return await use(staged.path);
    } finally {
      await this.discard(staged);
    }
  }

  async remove(tenantId: string, hash: string): Promise<void> {
    const command = new DeleteObjectCommand({ Bucket: this.settings.bucket, Key: this.key(tenantId, hash) });
    await this.client.send(command, { abortSignal: AbortSignal.timeout(removeMs) }).catch(rethrow);
  }

  async list(after: { tenantId: string; hash: string } | null, limit: number): Promise<ListedBlob[]> {
    const { bucket, prefix } = this.settings;
    const command = new ListObjectsV2Command({
      Bucket: bucket,
      Prefix: prefix,
      StartAfter: after ? this.key(after.tenantId, after.hash) : undefined,
      MaxKeys: limit,
    });
    const { Contents: objects = [] } = await this.client.send(command).catch(rethrow);
    return objects.map(({ Key: key = '', LastModified: storedAt = new Date() }) => {
      const [tenantId = '', hash = ''] = key.slice(prefix.length).split('/');
      return { tenantId, hash, storedAt };
    });
  }

  /** Beside the staged files, the multipart uploads that nobody will complete: their parts cost money and show nowhere. */
  override async sweep(before: Date): Promise<number> {
    const { bucket, prefix } = this.settings;
    const listing = new ListMultipartUploadsCommand({ Bucket: bucket, Prefix: prefix, MaxUploads: 1000 });
    const { Uploads: uploads = [] } = await this.client.send(listing).catch(rethrow);
    const old = uploads.filter(({ Initiated: begun = before }) => begun < before);
    for (const { Key, UploadId } of old)
      await this.client.send(new AbortMultipartUploadCommand({ Bucket: bucket, Key, UploadId })).catch(rethrow);
    return old.length + (await super.sweep(before));
  }

  async check(): Promise<void> {
    await this.staging.check();
    const abortSignal = AbortSignal.timeout(checkMs);
    await this.client.send(new HeadBucketCommand({ Bucket: this.settings.bucket }), { abortSignal }).catch(rethrow);
  }

  private key(tenantId: string, hash: string): string {
    return `${this.settings.prefix}${tenantId}/${hash}`;
  }
}

/** What the store answered, or that it did not, as an entry of our catalogue. */
function asApiFailure(error: unknown): unknown {
  if (error instanceof ApiError) return error;
  if (error instanceof NoSuchKey) return new ApiError('gone', undefined, [], { cause: error });
  const full = error instanceof S3ServiceException && error.$metadata.httpStatusCode === 507;
  return new ApiError(full ? 'storage_full' : 'unavailable', undefined, [], { cause: error });
}

function rethrow(error: unknown): never {
  throw asApiFailure(error);
}
