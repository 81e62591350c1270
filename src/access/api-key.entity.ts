import { Column, Entity, PrimaryColumn } from 'typeorm';
import type { Scope } from './principal.js';

@Entity('api_key')
export class ApiKey {
  @PrimaryColumn('uuid')
  id: string;

  @Column('uuid', { name: 'tenant_id' })
  tenantId: string;

  @Column('text')
  name: string;

  @Column('bytea', { name: 'key_hash' })
  keyHash: Buffer;

  /** Still accepted until `previousExpiresAt`: the key before the last rotation. */
  @Column('bytea', { name: 'previous_key_hash', nullable: true })
  previousKeyHash: Buffer | null;

  @Column('timestamptz', { name: 'previous_expires_at', nullable: true })
  previousExpiresAt: Date | null;

  @Column('text', { array: true })
  scopes: Scope[];

  @Column('text', { nullable: true })
  subject: string | null;

  @Column('text', { array: true })
  groups: string[];

  @Column('timestamptz', { name: 'expires_at', nullable: true })
  expiresAt: Date | null;

  @Column('timestamptz', { name: 'revoked_at', nullable: true })
  revokedAt: Date | null;

  @Column('timestamptz', { name: 'created_at' })
  createdAt: Date;
}
