import {
  BrokenCircuitError,
  BulkheadRejectedError,
  bulkhead,
  circuitBreaker,
  CircuitState,
  CountBreaker,
  DelegateBackoff,
  handleWhen,
  retry,
  TaskCancelledError,
  timeout,
  TimeoutStrategy,
  wrap,
} from 'cockatiel';
import { failureOf, ProviderFailure } from './provider-failure.js';

/** How long somebody is ready to wait for a provider, and how often it is asked. */
export interface Patience {
  /** From the call to its answer: waiting for a place, tries and the pauses between them. */
  totalMs: number;
  tries: number;
  /** The pause before the second try, doubled before each further one, half of it drawn by chance. */
  pauseMs: number;
  /** A longer pause, also one that the provider asks for, ends the call instead. */
  longestPauseMs: number;
  /** Asked before each further try. Absent: yes. */
  mayRepeat?: () => boolean;
}

// Half of the last 20 calls failing opens the breaker. The library asks for more than a share of calls, hence the 0.49.
const sample = { size: 20, minimumNumberOfCalls: 20, threshold: 0.49 };
const restMs = 30_000;
// Asked while another call finds out whether the provider is back.
const soonMs = 3000;
const waitingCalls = 1000;

/**
 * Calls to one model's provider: the only place that tries again (the client libraries' own retries are off), bounded in
 * time and number, and at rest while the provider is down.
 */
export class Provider {
  private readonly breaker = circuitBreaker(
    handleWhen((error) => error instanceof ProviderFailure && error.kind === 'passing'),
    { halfOpenAfter: restMs, breaker: new CountBreaker(sample) },
  );
  private readonly places;
  private restsUntil = 0;

  /** @param concurrency calls at the same time; others wait for a place */
  constructor(concurrency: number) {
    this.places = bulkhead(concurrency, waitingCalls);
    this.breaker.onBreak(() => {
      this.restsUntil = Date.now() + restMs;
    });
    this.breaker.onReset(() => {
      this.restsUntil = 0;
    });
  }

  /** `open`: too many calls failed, and none is made for a while. */
  get state(): 'closed' | 'open' {
    return this.breaker.state === CircuitState.Closed ? 'closed' : 'open';
  }

  /** @throws ProviderFailure while the provider rests: what leads to a call need not be begun */
  check(): void {
    const rest = this.restsUntil - Date.now();
    if (rest > 0) throw new ProviderFailure('passing', 'too many calls to it failed: it is left alone', rest);
    if (this.breaker.state === CircuitState.HalfOpen) {
      throw new ProviderFailure('passing', 'another call finds out whether it is back', soonMs);
    }
  }

  /**
   * @param ask makes one try; its signal aborts when the time is over or the caller has left
   * @param left aborts when nobody wants the answer any more: that is no failure of the provider's
   * @throws ProviderFailure, or as it is whatever `ask` threw that does not come from a provider
   */
  async call<T>(ask: (signal: AbortSignal) => Promise<T>, patience: Patience, left?: AbortSignal): Promise<T> {
    this.check();
    const deadline = performance.now() + patience.totalMs;
    let tried = 0;
    let pause = 0;
    const again = retry(
      handleWhen((error) => {
        if (!(error instanceof ProviderFailure) || error.kind !== 'passing') return false;
        const usual = patience.pauseMs * 2 ** tried++;
        pause = Math.max((usual * (1 + Math.random())) / 2, error.retryAfterMs ?? 0);
        const fits = pause <= patience.longestPauseMs && performance.now() + pause < deadline;
        return fits && (patience.mayRepeat?.() ?? true);
      }),
      { maxAttempts: patience.tries - 1, backoff: new DelegateBackoff(() => pause) },
    );
    const inTime = timeout(patience.totalMs, TimeoutStrategy.Aggressive);
    const policy = wrap(inTime, this.places, again, this.breaker);
    try {
      return await policy.execute(({ signal }) => attempt(ask, signal, left), left);
    } catch (error) {
      left?.throwIfAborted();
      throw refusal(error) ?? error;
    }
  }
}

/** One try, its failure named: policies look at nothing else. */
async function attempt<T>(ask: (signal: AbortSignal) => Promise<T>, signal: AbortSignal, left?: AbortSignal) {
  try {
    return await ask(signal);
  } catch (error) {
    left?.throwIfAborted();
    const named = signal.aborted ? new ProviderFailure('passing', 'there was no answer in time') : failureOf(error);
    throw named ?? error;
  }
}

/** What the policies themselves throw when they make no call, or wait no longer for one. */
function refusal(error: unknown): ProviderFailure | null {
  if (error instanceof TaskCancelledError) return new ProviderFailure('passing', 'there was no answer in time');
  if (error instanceof BulkheadRejectedError) return new ProviderFailure('passing', 'too many calls wait for it');
  if (error instanceof BrokenCircuitError) return new ProviderFailure('passing', 'it is left alone', soonMs);
  return null;
}
