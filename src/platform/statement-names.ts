import { LRUCache } from 'lru-cache';

// Each is kept by the server for every connection that used it, with its plan.
const mostNames = 500;
// What is asked once, such as a filter that somebody wrote, is not worth one.
const usesBefore = 3;
// These have a partition for each index: where the index is given, a plan for any value would lock and consider all of them.
const readsPartitions = /\b(from|join|using|update)\s+chunk(_vector)?\b/;
const ofOneIndex = /\bindex_id = \$\d/;

const isOfOnePartition = (sql: string): boolean => readsPartitions.test(sql) && ofOneIndex.test(sql);

/** Names for the statements that one role asks again and again. The same text has the same name on all connections. */
export interface StatementNames {
  /** @returns undefined for what has not been asked often, or where there are many names already */
  of(sql: string): string | undefined;
}

const roles = new Map<string, StatementNames>();

/**
 * Reading and planning a statement takes the embedded engine three quarters of its time, a server half: with a name, both
 * happen once for each connection. Roles share no names, since what a plan may see of a table depends on the role.
 * @param kind how they are prepared: what the protocol named is not named by SQL too
 */
export function statementNamesOf(role: string, kind = 'each'): StatementNames {
  const prefix = `${role}_${kind}`;
  const known = roles.get(prefix);
  if (known) return known;
  const named = new Map<string, string>();
  const uses = new LRUCache<string, number>({ max: 2 * mostNames });
  const names: StatementNames = {
    of: (sql) => {
      const name = named.get(sql);
      if (name !== undefined || named.size >= mostNames || isOfOnePartition(sql)) return name;
      const before = uses.get(sql) ?? 0;
      uses.set(sql, before + 1);
      if (before >= usesBefore) named.set(sql, `${prefix}_${named.size}`);
      return named.get(sql);
    },
  };
  roles.set(prefix, names);
  return names;
}
