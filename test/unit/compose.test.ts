import { readFileSync } from 'node:fs';
import { CORE_SCHEMA, load, mergeTag } from 'js-yaml';
import { describe, expect, it } from 'vitest';
import { readConfig } from '../../src/config.js';

interface Container {
  image: string;
  build?: unknown;
  command?: unknown;
  environment?: Record<string, unknown>;
  healthcheck?: { test: unknown };
  deploy?: { replicas: number };
}

// Compose reads `<<` as YAML 1.1 does.
const file = load(readFileSync(new URL('../../docker-compose.yml', import.meta.url), 'utf8'), {
  schema: CORE_SCHEMA.withTags(mergeTag),
}) as { services: Record<string, Container>; configs: { haproxy: { content: string } } };
const services = Object.values(file.services);
const ours = services.filter(({ image }) => image === 'lectern');

const isText = (value: unknown) => typeof value === 'string';
const processes = (role: string) =>
  ours
    .filter(({ environment }) => environment?.['ROLE'] === role)
    .reduce((total, { deploy }) => total + (deploy?.replicas ?? 1), 0);

/** Every variable that the service reads: a model's key is only read beside the model. */
function knownSettings(): Set<string> {
  const names = new Set<string>();
  const models = ['EMBEDDING', 'CHAT', 'RERANK'];
  const given = models.flatMap((model) => [
    [`${model}_BASE_URL`, 'http://localhost'],
    [`${model}_MODEL`, 'any'],
  ]);
  const environment: Record<string, string> = Object.fromEntries(given);
  readConfig(new Proxy(environment, { get: (values, name: string) => (names.add(name), values[name]) }));
  return names;
}

/** What a container gets when nobody sets anything: `${NAME:-default}` is its default. */
const byDefault = (environment: Record<string, unknown>) =>
  Object.fromEntries(
    Object.entries(environment).map(([name, value]) => [name, String(value).replaceAll(/\$\{\w+:-([^}]*)\}/g, '$1')]),
  );

describe('docker-compose.yml', () => {
  it('starts two API processes and three workers on one PostgreSQL, one Redis and one S3 store', () => {
    expect([processes('api'), processes('worker')]).toEqual([2, 3]);
    for (const image of [/^pgvector\/pgvector:/, /^redis:/, /versitygw:/])
      expect(services.filter((service) => image.test(service.image))).toHaveLength(1);
  });

  it('says commands and health checks in strings: a colon makes a mapping of one without quotes', () => {
    const said = services.flatMap(({ command, healthcheck }) => [command, healthcheck?.test]);
    const given = said.filter((words) => words !== undefined);
    expect(given.length).toBeGreaterThanOrEqual(4);
    for (const words of given) expect([words].flat().filter((word) => !isText(word))).toEqual([]);
  });

  it('sets only what the service knows, to what it takes', () => {
    const known = knownSettings();
    expect(ours.length).toBeGreaterThan(0);
    for (const { environment = {} } of ours) {
      expect(Object.keys(environment).filter((name) => !known.has(name))).toEqual([]);
      expect(readConfig(byDefault(environment))).toMatchObject({ port: 3000, s3: { bucket: 'lectern' } });
    }
  });

  it('sends requests to every API process, as long as it is ready', () => {
    const proxy = file.configs.haproxy.content;
    const names = Object.keys(file.services).filter((name) => file.services[name]?.environment?.['ROLE'] === 'api');
    expect([...proxy.matchAll(/^ *server (\S+) (\S+)$/gm)].map(([, name, address]) => [name, address])).toEqual(
      names.map((name) => [name, `${name}:3000`]),
    );
    expect(proxy).toMatch(/option httpchk GET \/health\/ready\n/);
    // Its parts have 2 s each to answer, beside one another; without this a check may take as long as `inter`.
    expect(Number(/^ *timeout check (\d+)s$/m.exec(proxy)?.[1])).toBeGreaterThan(2);
  });

  it('builds one image, and fetches no other without a version', () => {
    expect(services.filter(({ build }) => build !== undefined)).toHaveLength(1);
    const fetched = services.filter((service) => !ours.includes(service)).map(({ image }) => image);
    for (const image of fetched) expect(image).toMatch(/:(?!latest$)[\w.]+$/);
  });
});
