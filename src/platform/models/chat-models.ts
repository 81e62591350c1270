import type { BaseChatModel } from '@langchain/core/language_models/chat_models';
import { ChatOpenAI } from '@langchain/openai';
import { Inject, Injectable } from '@nestjs/common';
import { CONFIG, type Config } from '../../config.js';
import { modelFetch } from './model-fetch.js';
import { Provider } from './provider.js';

/** A model that writes answers, behind LangChain's `BaseChatModel`, and how it is to be asked. */
export interface GenerativeModel {
  model: BaseChatModel;
  provider: Provider;
  /** How long a whole answer may take, and how long the model may say nothing, in ms. */
  timeoutMs: number;
  silenceMs: number;
}

// Far more than any answer is long, with every token in an event of its own.
const answerBytes = 16 * 1024 * 1024;

/** The configured chat model. */
@Injectable()
export class ChatModels {
  /** null: none is configured, and answers are extractive. */
  readonly generative: GenerativeModel | null;

  constructor(@Inject(CONFIG) { chat }: Config) {
    this.generative = chat && {
      provider: new Provider(chat.concurrency),
      timeoutMs: chat.timeoutMs,
      silenceMs: chat.silenceMs,
      model: new ChatOpenAI({
        model: chat.model,
        apiKey: chat.apiKey,
        temperature: 0,
        // Whether it is asked again is decided in one place, and never once it has begun to speak.
        maxRetries: 0,
        timeout: chat.timeoutMs,
        streamUsage: false,
        // The client library would print an event that it cannot read: a piece of an answer.
        configuration: { baseURL: chat.baseUrl, fetch: modelFetch(chat.timeoutMs, answerBytes), logLevel: 'off' },
      }),
    };
  }

  /** `open`: the configured provider failed so often that it is left alone for a while. */
  get state(): 'built-in' | 'configured' | 'open' {
    if (!this.generative) return 'built-in';
    return this.generative.provider.state === 'open' ? 'open' : 'configured';
  }
}
