import { PassThrough } from 'node:stream';
import { showId } from '../platform/ids.js';
import { asApiError, problem } from '../platform/http/problem.filter.js';
import type { Citation } from './citations.js';
import type { PreparedChat } from './chat.js';

/** An answer as server-sent events. Exactly one of `message.done` and `error` ends it. */
export class EventStream {
  /** What the client is sent. */
  readonly output = new PassThrough();
  private readonly gone = new AbortController();

  constructor(private readonly requestId: string) {
    this.output.once('close', () => {
      if (!this.output.writableEnded) this.gone.abort();
    });
  }

  /** Aborts when the client has left: a model need not go on talking to nobody. */
  get signal(): AbortSignal {
    return this.gone.signal;
  }

  begin({ conversation, messageId, passages }: PreparedChat): void {
    this.write('message.start', {
      conversationId: showId('conv', conversation.id),
      messageId: showId('msg', messageId),
      traceId: this.requestId,
    });
    this.write('passages', {
      passages: passages.map(({ marker, document, revision, section, page, start, end, score }) => ({
        marker,
        documentId: document.id,
        revision,
        title: document.title,
        section,
        page,
        start,
        end,
        score,
      })),
    });
  }

  /** @param reset what was sent before is void: the model broke off, and another answer begins */
  delta(text: string, reset: boolean): void {
    this.write('answer.delta', reset ? { text, reset } : { text });
  }

  end(answer: { citations: Citation[] }): void {
    for (const citation of answer.citations) this.write('citation', citation);
    this.write('message.done', answer);
    this.output.end();
  }

  fail(thrown: unknown): void {
    this.write('error', problem(asApiError(thrown), this.requestId));
    this.output.end();
  }

  /** After the event that ends the stream nothing is written, whatever is still under way. */
  private write(event: string, data: unknown): void {
    if (!this.output.destroyed && !this.output.writableEnded)
      this.output.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  }
}
