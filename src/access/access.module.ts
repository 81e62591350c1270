import { Global, Module } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { TypeOrmModule } from '@nestjs/typeorm';
import { CONFIG, type Config } from '../config.js';
import { AccessController } from './access.controller.js';
import { AccessGuard } from './access.guard.js';
import { ApiKey } from './api-key.entity.js';
import { ApiKeys } from './api-keys.js';
import { Authenticator } from './authenticate.js';
import { Tenants } from './tenants.js';
import { loadTokens, Tokens } from './tokens.js';

@Global()
@Module({
  imports: [TypeOrmModule.forFeature([ApiKey])],
  controllers: [AccessController],
  providers: [
    Tenants,
    ApiKeys,
    Authenticator,
    {
      provide: Tokens,
      inject: [CONFIG],
      useFactory: (config: Config) => loadTokens(config.dataDir, config.tokenPrivateKey),
    },
    { provide: APP_GUARD, useClass: AccessGuard },
  ],
  exports: [Tenants],
})
export class AccessModule {}
