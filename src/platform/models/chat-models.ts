import type { BaseChatModel } from '@langchain/core/language_models/chat_models';
import { ChatOpenAI } from '@langchain/openai';
import { Inject, Injectable } from '@nestjs/common';
import { CONFIG, type Config } from '../../config.js';

/** The configured chat model behind LangChain's `BaseChatModel`, and how long an answer may take. */
@Injectable()
export class ChatModels {
  /** null: none is configured, and answers are extractive. */
  readonly generative: BaseChatModel | null;
  readonly timeoutMs: number;

  constructor(@Inject(CONFIG) config: Config) {
    const { chat } = config;
    this.timeoutMs = chat?.timeoutMs ?? 0;
    this.generative = chat
      ? new ChatOpenAI({
          model: chat.model,
          apiKey: chat.apiKey,
          temperature: 0,
          // A person is waiting: the time budget is better spent on the extractive answer than on a second try.
          maxRetries: 0,
          timeout: chat.timeoutMs,
          streamUsage: false,
          configuration: { baseURL: chat.baseUrl },
        })
      : null;
  }
}
