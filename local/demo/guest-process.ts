/** The guest as a process of its own: options come by IPC from its parent, the webhook's URL goes back. */
import { once } from "node:events";
import { startStripeGuest, type StripeGuestOptions } from "./guest.ts";

const [options] = (await once(process, "message")) as [StripeGuestOptions];
const guest = await startStripeGuest(options);
process.send?.({ url: guest.url });
await Promise.race([once(process, "disconnect"), once(process, "SIGTERM")]);
await guest.stop();
process.exit(0);
