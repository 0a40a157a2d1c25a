// The binomial distribution in whole numbers, as the oracle of what the product computes in doubles.

/** P(X <= k) for X of n trials that fail with h hundredths of a percent, as a fraction over 10,000^n. */
function atMostExact(k: number, n: number, h: number): { of: bigint; all: bigint } {
  const [p, q, all] = [BigInt(h), BigInt(10_000 - h), 10_000n ** BigInt(n)];
  if (k >= n) return { of: all, all };
  let [sum, choose] = [0n, 1n];
  for (let i = 0; i <= k; i++) {
    sum += choose * p ** BigInt(i) * q ** BigInt(n - i);
    choose = (choose * BigInt(n - i)) / BigInt(i + 1);
  }
  return { of: sum, all };
}

/** Whether k or fewer of n is too rare to be chance at a confidence of c hundredths of a percent. */
export function tooFewForChance(k: number, n: number, h: number, c: number): boolean {
  const { of, all } = atMostExact(k, n, h);
  return of * 10_000n <= BigInt(10_000 - c) * all;
}

export const tooManyForChance = (k: number, n: number, h: number, c: number): boolean => tooFewForChance(n - k, n, 10_000 - h, c);
