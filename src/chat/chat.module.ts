import { Module } from '@nestjs/common';
import { RetrievalModule } from '../retrieval/retrieval.module.js';
import { Chat } from './chat.js';
import { ChatController } from './chat.controller.js';
import { Conversations } from './conversations.js';
import { FeedbackController } from './feedback.controller.js';
import { ForgettingJobs } from './forgetting.jobs.js';
import { Watch } from './watch.js';

@Module({
  imports: [RetrievalModule],
  controllers: [ChatController, FeedbackController],
  providers: [Chat, Conversations, Watch, ForgettingJobs],
})
export class ChatModule {}
