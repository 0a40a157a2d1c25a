// A whole device: power, bootloader and the agent in the image that it started.
import { Agent, type World } from './agent.ts';
import { type Booted, type Fixed, powerOn } from './bootloader.ts';

/** A device that restarts more often than this without anybody telling it anything is in a loop. */
const MOST_RESTARTS = 8;

export class Machine {
  readonly #world: World;
  readonly #fixed: Fixed;
  #agent: Agent | undefined;
  booted: Booted | undefined;

  constructor(world: World, fixed: Fixed) {
    this.#world = world;
    this.#fixed = fixed;
  }

  /** Starts it, and again as often as its agent asks for it. Resolves when it waits for a directive. */
  async start(): Promise<void> {
    for (let restarts = 0; restarts < MOST_RESTARTS; restarts++) {
      this.booted = powerOn(this.#world.flash, this.#fixed);
      if (this.booted === undefined) return;
      this.#agent = new Agent(this.#world, this.booted);
      await this.#agent.connected();
      if (!this.#agent.wantsRestart) return;
    }
    throw new Error(`${this.#world.device} restarts for ever`);
  }

  /** The connection is new, and the boot is not. */
  async reconnected(): Promise<void> {
    await this.#agent?.reconnected();
  }

  async receive(directive: Uint8Array): Promise<void> {
    await this.#agent?.receive(directive);
    if (this.#agent?.wantsRestart === true) await this.start();
  }
}
