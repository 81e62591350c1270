import { resolve } from 'node:path';
import ipaddr from 'ipaddr.js';

/** What `ROLE` may say: which half of the service this process runs. */
export type Role = 'api' | 'worker' | 'all';

/** A model behind HTTP: OpenAI-compatible, but for rerankers. */
export interface RemoteModel {
  baseUrl: string;
  model: string;
  apiKey: string;
  /** How long one call may take. */
  timeoutMs: number;
  /** Calls of this process at the same time; others wait. */
  concurrency: number;
}

/** Whose `/rerank` the configured one speaks like. */
export type RerankStyle = 'cohere' | 'jina' | 'tei';

/** A bucket on AWS, or on another server that speaks S3. */
export interface S3Settings {
  bucket: string;
  /** null: AWS itself. */
  endpoint: string | null;
  region: string;
  accessKeyId: string;
  secretAccessKey: string;
  /** Begins every key: empty, or ending in a slash. */
  prefix: string;
  forcePathStyle: boolean;
  connectTimeoutMs: number;
  timeoutMs: number;
}

export class ConfigError extends Error {
  constructor(readonly problems: string[]) {
    super(`The configuration cannot be used:\n${problems.map((problem) => `  - ${problem}`).join('\n')}`);
  }
}

type Environment = Record<string, string | undefined>;

/** Reads variables one by one and gathers what is wrong with them, so that all of it is told at once. */
class Reader {
  readonly problems: string[] = [];

  constructor(private readonly environment: Environment) {}

  text(name: string): string | undefined {
    const value = this.environment[name]?.trim();
    return value ? value : undefined;
  }

  integer(name: string, fallback: number, min: number, max: number): number {
    const value = this.text(name);
    if (value === undefined) return fallback;
    const number = Number(value);
    if (Number.isInteger(number) && number >= min && number <= max) return number;
    return this.refuse(name, `must be a whole number from ${min} to ${max}, not "${value}"`, fallback);
  }

  choice<T extends string>(name: string, choices: readonly T[], fallback: T): T {
    const value = this.text(name);
    if (value === undefined) return fallback;
    const chosen = choices.find((choice) => choice === value);
    return chosen ?? this.refuse(name, `must be one of ${choices.join(', ')}, not "${value}"`, fallback);
  }

  url(name: string, protocols: string[]): string | undefined {
    const value = this.text(name);
    if (value === undefined) return undefined;
    if (URL.canParse(value) && protocols.includes(new URL(value).protocol)) return value.replace(/\/+$/, '');
    return this.refuse(
      name,
      `must be a URL that starts with ${protocols.map((p) => `${p}//`).join(' or ')}`,
      undefined,
    );
  }

  secret(name: string, minimum: number): string | undefined {
    const value = this.text(name);
    if (value === undefined || value.length >= minimum) return value;
    return this.refuse(name, `must have ${minimum} characters or more`, undefined);
  }

  cidrs(name: string): string[] {
    const values = (this.text(name) ?? '').split(',').map((part) => part.trim());
    return values.filter((value) => {
      if (value === '') return false;
      if (ipaddr.isValidCIDR(value)) return true;
      return this.refuse(name, `holds "${value}", which is not an address range such as 10.0.0.0/8`, false);
    });
  }

  /** Numbers of ports with commas between. */
  ports(name: string, otherwise: number[]): number[] {
    const values = this.text(name)
      ?.split(',')
      .map((part) => part.trim());
    if (values === undefined) return otherwise;
    const wrong = values.find((value) => !/^[1-9]\d{0,4}$/.test(value) || Number(value) > 65_535);
    if (wrong === undefined) return values.map(Number);
    return this.refuse(name, `holds "${wrong}", which is not a port such as 443`, otherwise);
  }

  /** The names in a value, at least one; none of them twice. */
  names(name: string, value: string): [string, ...string[]] {
    const [first, ...others] = value.split(',').map((part) => part.trim());
    const all: [string, ...string[]] = [first ?? '', ...others];
    if (!all.includes('') && new Set(all).size === all.length) return all;
    return this.refuse(name, 'holds an empty name, or one of them twice', all);
  }

  /**
   * A model behind HTTP: its address and name are given together or not at all.
   * @param more what only this kind has; `nameless`: the server has but one model, which need not be named
   */
  remoteModel<T extends object>(
    prefix: 'EMBEDDING' | 'CHAT' | 'RERANK',
    {
      timeoutMs = 30_000,
      concurrency,
      nameless = false,
    }: { timeoutMs?: number; concurrency: number; nameless?: boolean },
    more: T,
  ): (RemoteModel & T) | null {
    const baseUrl = this.url(`${prefix}_BASE_URL`, ['http:', 'https:']);
    const model = this.text(`${prefix}_MODEL`) ?? (nameless && baseUrl ? 'its own' : undefined);
    const limits = {
      timeoutMs: this.integer(`${prefix}_TIMEOUT_MS`, timeoutMs, 100, 600_000),
      concurrency: this.integer(`${prefix}_CONCURRENCY`, concurrency, 1, 1000),
    };
    if (!baseUrl && !model) return null;
    if (!baseUrl) return this.refuse(`${prefix}_BASE_URL`, `is missing although ${prefix}_MODEL is set`, null);
    if (!model) return this.refuse(`${prefix}_MODEL`, `is missing although ${prefix}_BASE_URL is set`, null);
    // A local server needs no key, and the client library refuses an empty one.
    return { baseUrl, model, apiKey: this.text(`${prefix}_API_KEY`) ?? 'none', ...limits, ...more };
  }

  /** Files in S3: the bucket and its keys are given together or not at all; the rest only makes sense beside them. */
  s3(): S3Settings | null {
    const needed = ['S3_BUCKET', 'S3_ACCESS_KEY_ID', 'S3_SECRET_ACCESS_KEY'] as const;
    const [bucket, accessKeyId, secretAccessKey] = needed.map((name) => this.text(name));
    const prefix = this.text('S3_PREFIX')?.replace(/\/*$/, '/') ?? '';
    if (!/^[\w./-]*$/.test(prefix) || prefix.startsWith('/'))
      this.refuse('S3_PREFIX', 'may hold letters, digits and . _ - / and must not begin with a slash', null);
    const settings = {
      endpoint: this.url('S3_ENDPOINT', ['http:', 'https:']) ?? null,
      region: this.text('S3_REGION') ?? 'us-east-1',
      prefix,
      forcePathStyle: this.choice('S3_FORCE_PATH_STYLE', ['true', 'false'], 'false') === 'true',
      connectTimeoutMs: this.integer('S3_CONNECT_TIMEOUT_MS', 3000, 50, 60_000),
      timeoutMs: this.integer('S3_TIMEOUT_MS', 30_000, 100, 600_000),
    };
    if (bucket && accessKeyId && secretAccessKey) return { ...settings, bucket, accessKeyId, secretAccessKey };
    const given = [...needed, 'S3_ENDPOINT', 'S3_REGION', 'S3_PREFIX'].find((name) => this.text(name));
    for (const name of needed)
      if (given && !this.text(name)) this.refuse(name, `is missing although ${given} is set`, null);
    return null;
  }

  private refuse<T>(name: string, why: string, fallback: T): T {
    this.problems.push(`${name} ${why}`);
    return fallback;
  }
}

const megabyte = 1024 * 1024;

/** What reading an untrusted file may cost: the processes that do it, and what a single file may hold. */
function parserSettings(reader: Reader) {
  return {
    timeoutMs: reader.integer('PARSER_TIMEOUT_MS', 60_000, 1000, 600_000),
    patienceMs: reader.integer('PARSER_PATIENCE_MS', 2500, 100, 600_000),
    // Two for documents that are read at the same time, and one for what takes long.
    processes: reader.integer('PARSER_PROCESSES', 3, 2, 65),
    reuse: reader.integer('PARSER_REUSE', 50, 1, 10_000),
    heapMb: reader.integer('PARSER_HEAP_MB', 512, 64, 8192),
    rssMb: reader.integer('PARSER_RSS_MB', 768, 128, 16_384),
    chunks: reader.integer('PARSER_MAX_CHUNKS', 20_000, 1, 1_000_000),
    bounds: {
      entries: reader.integer('PARSER_MAX_ENTRIES', 2000, 1, 1_000_000),
      inflatedBytes: reader.integer('PARSER_MAX_INFLATED_MB', 200, 1, 4096) * megabyte,
      partBytes: reader.integer('PARSER_MAX_PART_MB', 20, 1, 1024) * megabyte,
      ratio: reader.integer('PARSER_MAX_RATIO', 200, 2, 100_000),
      depth: reader.integer('PARSER_MAX_DEPTH', 256, 8, 10_000),
      pages: reader.integer('PARSER_MAX_PAGES', 5000, 1, 1_000_000),
      cells: reader.integer('PARSER_MAX_CELLS', 2_000_000, 1, 1_000_000_000),
      blocks: reader.integer('PARSER_MAX_BLOCKS', 250_000, 1, 10_000_000),
      textChars: reader.integer('PARSER_MAX_TEXT_MB', 20, 1, 256) * megabyte,
    },
  };
}

/** The embedding models behind one address: new bases are built with the first, and what others were built with still answers. */
function embeddingSettings(reader: Reader) {
  const server = reader.remoteModel(
    'EMBEDDING',
    { concurrency: 8 },
    {
      queryTimeoutMs: reader.integer('EMBEDDING_QUERY_TIMEOUT_MS', 2500, 100, 60_000),
      retryMs: reader.integer('EMBEDDING_RETRY_MS', 60_000, 0, 600_000),
      // 0: as its name says, or what most models take.
      maxTokens: reader.integer('EMBEDDING_MAX_TOKENS', 0, 0, 1_000_000),
    },
  );
  if (!server) return null;
  const { model, ...settings } = server;
  return { ...settings, models: reader.names('EMBEDDING_MODEL', model) };
}

/** Every setting of the service, with its default. The README's table is this function in words. */
function read(reader: Reader) {
  const url = reader.url('DATABASE_URL', ['postgres:', 'postgresql:']) ?? null;
  const heavy = reader.integer('HEAVY_CONCURRENCY', reader.text('EMBEDDING_BASE_URL') ? 8 : 3, 1, 64);
  const rerankStyle = reader.choice<RerankStyle>('RERANK_STYLE', ['cohere', 'jina', 'tei'], 'cohere');
  return {
    port: reader.integer('PORT', 3000, 0, 65_535),
    host: reader.text('HOST') ?? '0.0.0.0',
    publicUrl: reader.url('PUBLIC_URL', ['http:', 'https:']) ?? null,
    role: reader.choice<Role>('ROLE', ['api', 'worker', 'all'], 'all'),
    logLevel: reader.choice('LOG_LEVEL', ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'], 'info'),
    dataDir: resolve(reader.text('DATA_DIR') ?? './data'),
    adminApiKey: reader.secret('ADMIN_API_KEY', 24) ?? null,
    secretKey: reader.secret('SECRET_KEY', 32) ?? null,
    tokenPrivateKey: reader.text('TOKEN_PRIVATE_KEY') ?? null,
    database: {
      url,
      poolSize: reader.integer('DATABASE_POOL_SIZE', 10, 2, 200),
      backgroundPoolSize: reader.integer('DATABASE_BACKGROUND_POOL_SIZE', 10, 4, 200),
      statementTimeoutMs: reader.integer('STATEMENT_TIMEOUT_MS', 30_000, 1000, 600_000),
      // Never on the embedded engine: its only session would do nothing else for minutes.
      vectorIndexFrom: url === null ? null : reader.integer('VECTOR_INDEX_FROM', 20_000, 100, 1_000_000_000),
    },
    redisUrl: reader.url('REDIS_URL', ['redis:', 'rediss:']) ?? null,
    redisPrefix: reader.text('REDIS_PREFIX') ?? 'lectern',
    s3: reader.s3(),
    outbound: {
      allow: reader.cidrs('OUTBOUND_ALLOW_CIDRS'),
      ports: reader.ports('OUTBOUND_PORTS', [443, 8443]),
    },
    embedding: embeddingSettings(reader),
    chat: reader.remoteModel(
      'CHAT',
      { concurrency: 32 },
      {
        silenceMs: reader.integer('CHAT_SILENCE_TIMEOUT_MS', 15_000, 100, 600_000),
      },
    ),
    rerank: reader.remoteModel(
      'RERANK',
      { timeoutMs: 2500, concurrency: 8, nameless: rerankStyle === 'tei' },
      { style: rerankStyle },
    ),
    upload: {
      maxBytes: reader.integer('UPLOAD_MAX_MB', 50, 1, 2048) * megabyte,
      atOnce: reader.integer('UPLOADS_AT_ONCE', 64, 1, 10_000),
      queuedPerTenant: reader.integer('QUEUE_MAX_PER_TENANT', 20_000, 1, 10_000_000),
      queued: reader.integer('QUEUE_MAX', 200_000, 1, 10_000_000),
    },
    knowledge: {
      syncHours: reader.integer('SYNC_EXPIRY_HOURS', 24, 1, 720),
      retainVersions: reader.integer('RETENTION_VERSIONS', 20, 1, 100_000),
      retainHours: reader.integer('RETENTION_HOURS', 24, 0, 87_600),
      checkHours: reader.integer('FSCK_EVERY_HOURS', 24, 0, 8760),
    },
    http: {
      requestTimeoutMs: reader.integer('REQUEST_TIMEOUT_MS', 120_000, 100, 3_600_000),
      headersTimeoutMs: reader.integer('HEADERS_TIMEOUT_MS', 15_000, 100, 600_000),
    },
    overload: {
      eventLoopDelayMs: reader.integer('EVENT_LOOP_DELAY_MAX_MS', 200, 10, 60_000),
      connectionQueue: reader.integer('CONNECTION_QUEUE_MAX', 200, 1, 100_000),
    },
    parser: parserSettings(reader),
    workers: {
      heavy,
      light: reader.integer('LIGHT_CONCURRENCY', 8, 1, 256),
      leaseSeconds: reader.integer('LEASE_SECONDS', 90, 5, 3600),
    },
  };
}

/** The settings of this process: a plain value, read once. */
export type Config = ReturnType<typeof read>;

/** Nest's token for the {@link Config} value. */
export const CONFIG = Symbol('CONFIG');

/** @throws ConfigError naming every bad variable at once */
export function readConfig(environment: Environment): Config {
  const reader = new Reader(environment);
  const config = read(reader);
  if (reader.problems.length > 0) throw new ConfigError(reader.problems);
  return config;
}
