// The door of the firmware room: which firmware is trusted, what a FirmwareRelease does to which devices, and what its gates can show.
import {
  hasEnded as endedPart,
  hearHello as helloPart,
  openOf as openPart,
  standingOf as standingPart,
  hearState as statePart,
} from './accept.ts';
import { bounds as boundsPart } from './binomial.ts';
import { provesRunning as provesPart } from './boot-report.ts';
import { candidateOf as candidatePart } from './candidate.ts';
import { isInStep as inStepPart, type ReleaseOfCohort as ReleaseOfCohortPart, rankOf as rankPart, rulesOf as rulesPart } from './cohort.ts';
import { nextSeq as seqPart, signDirective as signPart } from './directive.ts';
import { readDirective as directivePart } from './directive-reader.ts';
import { readDirectiveSigner as signerPart } from './directive-signer.ts';
import {
  type Envelope,
  envelopeText as envelopeTextPart,
  MAX_ENVELOPE_BYTES as maxEnvelopeBytes,
  merged,
  readEnvelope,
  releaseSigners,
  signed,
  unsigned,
} from './envelope.ts';
import { ERRORS, explain, type Problem, type Result, resultOf } from './errors.ts';
import { artifactFor as artifactForPart, type Misfit as MisfitPart, misfitOf as misfitPart } from './fit.ts';
import { stillNeeded as neededPart, sampleToPass as samplePart, type Verdict as VerdictPart } from './gate.ts';
import { DEFAULT_PACE as defaultPace, leastTime as leastTimePart, offersNow as offersPart, rateOf as ratePart } from './offers.ts';
import {
  type Approval as ApprovalPart,
  type Next as NextPart,
  nextOf as nextPart,
  type ReleaseState as ReleaseStatePart,
  type Started as StartedPart,
  verdictAt as verdictPart,
} from './progress.ts';
import { topicsOf as topicsPart } from './protocol.ts';
import { keyFromPem, type PublicKey } from './public-key.ts';
import { artifactOf as artifactPart, verifyRelease as verifyPart } from './release.ts';
import { readHello as readHelloPart, readState as readStatePart } from './report.ts';
import { retryAt as retryPart } from './retry.ts';
import { MAX_ROOT_BYTES as maxRootBytes, type Root, readRoot } from './root.ts';
import { advance as advancePart, newestRoot as newestPart } from './root-chain.ts';
import { draftRoot, progressOf as progressPart, signRoot, type Wishes } from './root-draft.ts';
import { makeKey as makeKeyPart, type SigningKey, signingKey } from './signing-key.ts';
import { percentText as percentPart } from './size.ts';
import { spanMs as spanPart, spanText as spanTextPart } from './span.ts';
import { type ReleaseFacts, readStatement, statementOf } from './statement.ts';
import { type Candidate as CandidatePart, planWaves as planPart, type Step as StepPart, type WavePlan as WavePlanPart } from './waves.ts';
import { windowFault as windowFaultPart, windowAt as windowPart } from './windows.ts';

export type Misfit = MisfitPart;
export const misfitOf = misfitPart;
export type Candidate = CandidatePart;
export type Step = StepPart;
export type WavePlan = WavePlanPart;
export type Approval = ApprovalPart;
export type Next = NextPart;
export type ReleaseState = ReleaseStatePart;
export type Started = StartedPart;
export type Verdict = VerdictPart;
export const nextOf = nextPart;
export const verdictAt = verdictPart;
export const DEFAULT_PACE = defaultPace;
export const rateOf = ratePart;
export const failureBounds = boundsPart;
export const percentText = percentPart;
export type ReleaseOfCohort = ReleaseOfCohortPart;
export const candidateOf = candidatePart;
export const planWaves = planPart;
export const rankOf = rankPart;
export const isInStep = inStepPart;
export const rulesOf = rulesPart;
export const sampleToPass = samplePart;
export const stillNeeded = neededPart;
export const leastTime = leastTimePart;
export const spanMs = spanPart;
export const spanText = spanTextPart;
export const windowAt = windowPart;
export const windowFault = windowFaultPart;

/** For the driver of a rollout: what it tells devices, what it hears, and what that is worth. */
export const hearState = statePart;
export const hearHello = helloPart;
export const hasEnded = endedPart;
export const openOf = openPart;
export const standingOf = standingPart;
export const nextSeq = seqPart;
export const signDirective = signPart;
export const readDirective = directivePart;
export const readDirectiveSigner = signerPart;
export const artifactFor = artifactForPart;
export const provesRunning = provesPart;
export const offersNow = offersPart;
export const retryAt = retryPart;
export const topicsOf = topicsPart;
export const readHello = readHelloPart;
export const readState = readStatePart;
export type { OpenDirective, Standing } from './accept.ts';
export type { DirectiveSigner } from './directive-signer.ts';
export type { Envelope } from './envelope.ts';
export type { Problem, Result } from './errors.ts';
export type { Directive, Hello, StateReport } from './messages.ts';
export type { Budget, Row as OfferRow } from './offers.ts';
export type { Action, DeviceState } from './protocol.ts';
export type { PublicKey } from './public-key.ts';
export type { Role, Root } from './root.ts';
export type { Remembered } from './root-chain.ts';
export type { Wishes } from './root-draft.ts';
export type { SigningKey } from './signing-key.ts';
export type { ReleaseFacts, SignedArtifact } from './statement.ts';
export type { Window } from './windows.ts';

/** As a condition has it. */
export const reasonOfFirmware = ({ code }: Problem): string => ERRORS[code].title;
export const explainFirmware = (problem: Problem, where?: string): string => explain(problem, where);

export const advance = advancePart;
export const newestRoot = newestPart;
export const MAX_ROOT_BYTES = maxRootBytes;
export const rootFrom = (bytes: Uint8Array): Result<Root> => resultOf(() => readRoot(bytes));
export const rootDraft = (before: Root | undefined, wishes: Wishes): Result<Buffer> => resultOf(() => draftRoot(before, wishes));
export const progressOf = progressPart;
/** Undefined where the signature of this key would count nowhere. */
export const withRootSignature = (bytes: Uint8Array, before: Root | undefined, key: SigningKey): Result<Uint8Array | undefined> =>
  resultOf(() => signRoot(bytes, before, key));

export const makeKey = makeKeyPart;
export const publicKeyFrom = (pem: string): Result<PublicKey> => resultOf(() => keyFromPem(pem));
export const signingKeyFrom = (pem: string): Result<SigningKey> => resultOf(() => signingKey(pem));

export const MAX_ENVELOPE_BYTES = maxEnvelopeBytes;
export const verifyRelease = verifyPart;
export const artifactOf = artifactPart;
export const envelopeFrom = (bytes: Uint8Array): Result<Envelope> => resultOf(() => readEnvelope(bytes));
/** For who is to sign it: nothing is verified. */
export const statementIn = ({ payload }: Envelope): Result<ReleaseFacts> => resultOf(() => readStatement(payload));
export const newEnvelope = (facts: ReleaseFacts): Result<Envelope> => resultOf(() => unsigned(statementOf(facts)));
export const withSignature = signed;
export const withSignaturesOf = (envelope: Envelope, other: Envelope): Envelope => merged(envelope, other.signatures);
export const hasSigned = (envelope: Envelope, key: PublicKey): boolean =>
  releaseSigners(envelope, { keys: [key], threshold: 1 }).length > 0;
export const envelopeText = envelopeTextPart;
