import { Module } from '@nestjs/common';
import { RetrievalModule } from '../retrieval/retrieval.module.js';
import { Chat } from './chat.js';
import { ChatController } from './chat.controller.js';
import { Conversations } from './conversations.js';

@Module({ imports: [RetrievalModule], controllers: [ChatController], providers: [Chat, Conversations] })
export class ChatModule {}
