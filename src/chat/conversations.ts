import { Injectable } from '@nestjs/common';
import { type Principal, visibleTo } from '../access/principal.js';
import { notFound } from '../errors.js';
import { record } from '../events/outbox.js';
import { Database, type Transaction } from '../platform/database.js';
import { newId, readId, showId } from '../platform/ids.js';
import { forgetDeleted, type NewAnswer, storeAnswer } from './stored-answers.js';
import type { KeptRecord } from './without-documents.js';

interface MessageRow {
  id: string;
  role: 'user' | 'assistant';
  content: string;
  document_ids: string[] | null;
}

export interface OpenConversation {
  id: string;
  /** What was said before, newest last, without answers from documents that this caller may no longer see. */
  history: string;
  /** The documents that the history speaks of. */
  historyDocuments: string[];
  /** The question before this one; null in a new conversation. */
  lastQuestion: string | null;
}

export interface Feedback {
  rating: 'positive' | 'negative';
  comment?: string;
}

const remembered = 6;
const historyChars = 2000;

/** Conversations belong to the caller who began them; to everybody else they are not there. */
@Injectable()
export class Conversations {
  constructor(private readonly database: Database) {}

  /** Opens or begins a conversation and writes the question down. @throws ApiError not_found */
  async ask(
    principal: Principal,
    shownId: string | undefined,
    question: string,
    requestId: string,
  ): Promise<OpenConversation> {
    return this.database.as(principal, async (tx) => {
      const id =
        shownId === undefined
          ? await this.begin(tx, principal, requestId)
          : await this.find(tx, principal, readId('conv', shownId), requestId);
      const before = await this.earlier(tx, principal, id);
      const messageId = newId();
      await tx.run(
        `insert into message (id, tenant_id, conversation_id, role, content) values ($1, $2, $3, 'user', $4)`,
        [messageId, principal.tenantId, id, question],
      );
      await this.tell(tx, principal, 'message.received', id, { messageId: showId('msg', messageId) }, requestId);
      const history = before
        .map(({ role, content }) => `${role}: ${content}`)
        .join('\n')
        .slice(-historyChars);
      const lastQuestion = before.findLast(({ role }) => role === 'user')?.content ?? null;
      const historyDocuments = before.flatMap((row) => row.document_ids ?? []);
      return { id, history, historyDocuments, lastQuestion };
    });
  }

  /** @returns what is left of an answer whose document was deleted while it was being written; null: all of it */
  async keep(
    principal: Principal,
    conversationId: string,
    answer: NewAnswer & { confidence: string },
    requestId: string,
  ): Promise<KeptRecord | null> {
    const { id, outcome, confidence } = answer;
    await this.database.as(principal, async (tx) => {
      await storeAnswer(tx, principal, conversationId, answer);
      const about = { messageId: showId('msg', id), outcome, confidence };
      await this.tell(tx, principal, 'message.sent', conversationId, about, requestId);
      if (confidence === 'low')
        await this.tell(tx, principal, 'answer.low_confidence', conversationId, about, requestId);
    });
    // Should this process die here, a sweep finds it.
    return this.database.as(principal, (tx) => forgetDeleted(tx, id));
  }

  async failed(principal: Principal, conversationId: string, requestId: string): Promise<void> {
    await this.database.as(principal, (tx) =>
      this.tell(tx, principal, 'message.failed', conversationId, {}, requestId),
    );
  }

  /** What the asker thinks of an answer; said again, it replaces what was said. @throws ApiError not_found */
  async rate(principal: Principal, shownId: string, { rating, comment }: Feedback, requestId: string) {
    const id = readId('msg', shownId);
    return this.database.as(principal, async (tx) => {
      const row = await tx.row<{ conversation_id: string }>(
        `update message m set rating = $3, comment = $4 from conversation c
         where m.id = $1 and m.role = 'assistant' and c.id = m.conversation_id and c.owner = $2 returning m.conversation_id`,
        [id, principal.caller, rating, comment ?? null],
      );
      if (!row) throw notFound();
      await this.tell(
        tx,
        principal,
        'feedback.created',
        row.conversation_id,
        { messageId: shownId, rating },
        requestId,
      );
      return { messageId: shownId, rating, comment: comment ?? null };
    });
  }

  private async begin(tx: Transaction, principal: Principal, requestId: string): Promise<string> {
    const id = newId();
    await tx.run('insert into conversation (id, tenant_id, owner) values ($1, $2, $3)', [
      id,
      principal.tenantId,
      principal.caller,
    ]);
    await this.tell(tx, principal, 'conversation.started', id, {}, requestId);
    return id;
  }

  private async find(tx: Transaction, principal: Principal, id: string, requestId: string): Promise<string> {
    const found = await tx.row('select 1 from conversation where id = $1 and owner = $2', [id, principal.caller]);
    if (!found) throw notFound();
    await this.tell(tx, principal, 'conversation.updated', id, {}, requestId);
    return id;
  }

  /** An answer says what its documents said: it is left out once one of them is hidden from the caller, or gone. */
  private async earlier(tx: Transaction, principal: Principal, id: string): Promise<MessageRow[]> {
    const rows = await tx.rows<MessageRow>(
      `select id, role, content, array(select jsonb_array_elements_text(answer->'documentIds')) as document_ids
       from message where conversation_id = $1 order by id desc limit ${remembered}`,
      [id],
    );
    const parameters: unknown[] = [rows.flatMap((row) => row.document_ids ?? []), principal.knowledgeBases];
    const visible = visibleTo(principal, parameters);
    const seen = await tx.rows<{ id: string }>(
      `select d.id from document d join knowledge_base b on b.id = d.knowledge_base_id and b.deleted_at is null
       where d.id = any($1::uuid[]) and ($2::uuid[] is null or d.knowledge_base_id = any($2::uuid[])) and ${visible}`,
      parameters,
    );
    const allowed = new Set(seen.map((row) => row.id));
    return rows.filter((row) => (row.document_ids ?? []).every((documentId) => allowed.has(documentId))).toReversed();
  }

  private async tell(
    tx: Transaction,
    principal: Principal,
    type:
      | 'conversation.started'
      | 'conversation.updated'
      | 'message.received'
      | 'message.sent'
      | 'message.failed'
      | 'answer.low_confidence'
      | 'feedback.created',
    conversationId: string,
    data: Record<string, unknown>,
    requestId: string,
  ): Promise<void> {
    await record(tx, principal, {
      type,
      subjectId: conversationId,
      requestId,
      data: { conversationId: showId('conv', conversationId), ...data },
    });
  }
}
