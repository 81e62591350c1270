import { Inject, Injectable } from '@nestjs/common';
import type { Principal } from '../access/principal.js';
import { invalidField } from '../errors.js';
import { terms } from '../knowledge/terms.js';
import { newId, readId, showId } from '../platform/ids.js';
import { LOGGER, type Logger } from '../platform/logger.js';
import { ChatModels } from '../platform/models/chat-models.js';
import { Retrieval, type SearchAnswer } from '../retrieval/retrieval.js';
import { type Answer, answer, notFound } from './answer.js';
import { Conversations, type OpenConversation } from './conversations.js';
import { ExtractiveChatModel } from './extractive.js';
import type { PromptPassage, StructuredPrompt } from './prompt.js';
import type { KeptRecord } from './without-documents.js';

export interface ChatWish {
  knowledgeBases: string[];
  message: string;
  /** A version of the only base to look back to; absent: the active ones. */
  version?: number;
  conversationId?: string;
  instructions?: string;
  output: 'text' | 'markdown';
}

/** A question whose passages are found and whose conversation is open, ready to be answered. */
export interface PreparedChat {
  messageId: string;
  conversation: OpenConversation;
  found: SearchAnswer[];
  passages: PromptPassage[];
  retrievalMs: number;
}

const passagesPerAnswer = 8;

// A question this short ("and for part-timers?") is searched together with the one before it.
const shortQuestion = 3;

/** Passages to a cited answer, kept with its version, passages and timings. */
@Injectable()
export class Chat {
  private readonly extractive = new ExtractiveChatModel();

  constructor(
    private readonly retrieval: Retrieval,
    private readonly conversations: Conversations,
    private readonly models: ChatModels,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /** Everything that can be refused happens here, before the first byte of an answer. @throws ApiError not_found */
  async prepare(principal: Principal, wish: ChatWish, requestId: string): Promise<PreparedChat> {
    const started = performance.now();
    if (wish.version !== undefined && wish.knowledgeBases.length > 1)
      throw invalidField('version', 'is of one knowledge base: name no other');
    await this.retrieval.check(principal, wish.knowledgeBases, wish.version);
    const conversation = await this.conversations.ask(principal, wish.conversationId, wish.message, requestId);
    const follows = conversation.lastQuestion !== null && terms(wish.message).length <= shortQuestion;
    const query = follows ? `${conversation.lastQuestion} ${wish.message}`.slice(0, 4000) : wish.message;
    const found: SearchAnswer[] = [];
    for (const base of new Set(wish.knowledgeBases)) {
      const { version } = wish;
      const search = { query, topK: passagesPerAnswer, mode: 'hybrid', version } as const;
      found.push(await this.retrieval.search(principal, base, search));
    }
    const several = found.length > 1;
    const passages = found
      .flatMap(({ results }) => results)
      // Scores of two bases do not compare; the share of the question that a passage holds does.
      .sort((a, b) => (several ? (b.signals.coverage ?? 0) - (a.signals.coverage ?? 0) : 0) || b.score - a.score)
      .slice(0, passagesPerAnswer)
      .map((result, index) => ({ ...result, marker: index + 1 }));
    return { messageId: newId(), conversation, found, passages, retrievalMs: Math.round(performance.now() - started) };
  }

  async reply(
    principal: Principal,
    wish: ChatWish,
    prepared: PreparedChat,
    requestId: string,
    onDelta: (text: string, reset: boolean) => void = () => undefined,
    signal?: AbortSignal,
  ) {
    const { conversation, passages, messageId } = prepared;
    const started = performance.now();
    const prompt = structured(principal, wish, prepared);
    const degraded = new Set(prepared.found.flatMap((search) => search.degraded));
    const answerers = { generative: this.models.generative, extractive: this.extractive };
    const given = await answer(
      prompt,
      answerers,
      onDelta,
      (reason) => {
        degraded.add('chat');
        this.logger.warn({ err: reason, requestId }, 'the chat model gave no answer to use; answering extractively');
      },
      signal,
    ).catch(async (error: unknown) => {
      await this.conversations.failed(principal, conversation.id, requestId);
      throw error;
    });
    const shown = show(prepared, given, [...degraded], requestId);
    const ms = { retrieval: prepared.retrievalMs, answer: Math.round(performance.now() - started) };
    // An answer may repeat what an earlier one said: it is hidden together with the documents of both.
    const own = passages.map(({ document }) => readId('doc', document.id));
    const documentIds = [...new Set([...own, ...conversation.historyDocuments])];
    const kept = {
      ...shown,
      documentIds,
      passages: passages.map(({ document, revision, start, end }) => ({
        documentId: document.id,
        revision,
        start,
        end,
      })),
      ms,
    };
    const left = await this.conversations.keep(
      principal,
      conversation.id,
      {
        id: messageId,
        text: given.answer,
        outcome: given.outcome,
        confidence: given.confidence,
        madeFrom: madeFrom(wish, prepared),
        record: kept,
      },
      requestId,
    );
    this.logger.info(
      {
        requestId,
        conversation: conversation.id,
        passages: passages.length,
        mode: given.mode,
        outcome: given.outcome,
        ms,
      },
      'answered',
    );
    if (!left) return shown;
    const remaining = stillAnswered(given, left);
    onDelta(remaining.answer, true);
    return show(prepared, remaining, [...degraded], requestId);
  }
}

/** Of an answer whose document was deleted while it was being written: what may still be said. */
function stillAnswered(given: Answer, left: KeptRecord): Answer {
  if (left.answer.trim() === '') return notFound(given.mode, given.usage);
  const gone = new Set(left.citations.flatMap((citation) => ('deleted' in citation ? citation.marker : [])));
  return {
    ...given,
    answer: left.answer,
    citations: given.citations.filter(({ marker }) => !gone.has(marker)),
  };
}

function madeFrom({ knowledgeBases: [base, ...others], version }: ChatWish, { found: [search] }: PreparedChat) {
  if (base === undefined || !search || others.length > 0 || version !== undefined) return null;
  return { knowledgeBaseId: readId('kb', base), version: search.version };
}

function structured(principal: Principal, wish: ChatWish, { conversation, passages }: PreparedChat): StructuredPrompt {
  return {
    conversationId: conversation.id,
    tenantId: principal.tenantId,
    subject: principal.subject,
    instructions: wish.instructions ?? null,
    output: wish.output,
    history: conversation.history,
    passages,
    message: wish.message,
    allowedActions: [],
  };
}

/** The answer as callers get it. */
function show({ conversation, messageId, found }: PreparedChat, given: Answer, degraded: string[], requestId: string) {
  const dates = given.citations
    .flatMap(({ sourceUpdatedAt }) => sourceUpdatedAt ?? [])
    .sort((a, b) => a.getTime() - b.getTime());
  const all = found.flatMap(({ freshness }) => [freshness.oldest, freshness.newest]).filter((date) => date !== null);
  const known = dates.length > 0 ? dates : all.sort((a, b) => a.getTime() - b.getTime());
  return {
    conversationId: showId('conv', conversation.id),
    messageId: showId('msg', messageId),
    answer: given.answer,
    outcome: given.outcome,
    mode: given.mode,
    confidence: given.confidence,
    degraded,
    citations: given.citations,
    version: found[0]?.version ?? 0,
    freshness: { oldest: known[0] ?? null, newest: known.at(-1) ?? null },
    escalation: escalation(given),
    usage: given.usage,
    traceId: requestId,
  };
}

function escalation(given: Answer): { suggested: boolean; reason: 'no_evidence' | 'low_confidence' | null } {
  if (given.outcome === 'not_found') return { suggested: true, reason: 'no_evidence' };
  return given.confidence === 'low'
    ? { suggested: true, reason: 'low_confidence' }
    : { suggested: false, reason: null };
}
