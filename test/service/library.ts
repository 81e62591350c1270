import { randomUUID } from 'node:crypto';
import type { Answer, CallOptions, Service } from './harness.js';

export interface FileUpload {
  bytes: Uint8Array<ArrayBuffer> | string;
  name: string;
  type?: string;
  fields?: Record<string, string>;
  /** Whether the fields come after the file in the request. */
  fieldsLast?: boolean;
}

export type Library = Awaited<ReturnType<typeof openLibrary>>;

/** A knowledge base of its own for a test, and the calls that tests of documents make again and again. */
export async function openLibrary(
  service: Service,
  options: CallOptions & { pipeline?: Record<string, unknown> } = {},
) {
  const { key, pipeline } = options;
  const made = await service.call('POST', '/v1/knowledge-bases', { body: { name: randomUUID(), pipeline }, key });
  if (made.status !== 201) throw new Error(`no knowledge base was made: ${made.text}`);
  const base: string = made.body.id;
  const root = `/v1/knowledge-bases/${base}`;
  const call = (method: string, path: string, more: CallOptions = {}) =>
    service.call(method, `${root}${path}`, { key, ...more });

  /** Sends a document as JSON: Markdown, unless said otherwise. */
  const upload = (document: Record<string, unknown>, more: CallOptions = {}): Promise<Answer> =>
    call('POST', '/documents', { body: { contentType: 'text/markdown', ...document }, ...more });

  const uploadFile = ({
    bytes,
    name,
    type = 'application/octet-stream',
    fields = {},
    fieldsLast = false,
  }: FileUpload): Promise<Answer> => {
    const form = new FormData();
    const file = new Blob([bytes], { type });
    if (fieldsLast) form.append('file', file, name);
    for (const [field, value] of Object.entries(fields)) form.append(field, value);
    if (!fieldsLast) form.append('file', file, name);
    return call('POST', '/documents', { form });
  };

  const get = async (id: string, more: CallOptions = {}) => (await call('GET', `/documents/${id}`, more)).body;
  const search = async (query: string, more: Record<string, unknown> = {}, as: CallOptions = {}) => {
    const answer = await call('POST', '/search', { body: { query, ...more }, ...as });
    if (answer.status !== 200) throw new Error(`the search was answered ${answer.status}: ${answer.text}`);
    return answer.body;
  };

  return {
    base,
    call,
    upload,
    uploadFile,
    get,
    search,
    /** Uploads and settles. @returns the document as it then stands */
    publish: async (document: Record<string, unknown>) => {
      const { body } = await upload(document);
      await service.settle();
      return get(body.id);
    },
    /** The external ids a search finds, best first, each once. */
    finds: async (query: string, more: Record<string, unknown> = {}, as: CallOptions = {}): Promise<string[]> => {
      const { results } = await search(query, more, as);
      return [
        ...new Set<string>(results.map((result: { document: { externalId: string } }) => result.document.externalId)),
      ];
    },
    /** The texts a search answers with, joined. */
    says: async (query: string, more: Record<string, unknown> = {}): Promise<string> => {
      const { results } = await search(query, more);
      return results.map((result: { text: string }) => result.text).join('\n');
    },
    /** As if the waiting time after a failure that may pass were over. */
    waitIsOver: (id: string) =>
      service
        .database()
        .asOwner((tx) =>
          tx.run(`update revision set lease_expires_at = now() where document_id = $1 and status = 'queued'`, [
            id.slice('doc_'.length),
          ]),
        ),
    /** One page of the base's documents. */
    list: async (query = '') => (await call('GET', `/documents${query}`)).body,
    activeVersion: async (): Promise<number> => (await call('GET', '')).body.activeVersion,
    activate: (number: number) => call('POST', `/versions/${number}/activate`),
  };
}
