import * as z from "zod/mini";
import { once } from "../../src/internal/index.ts";

/** For a parse whose issues are shown: by itself zod/mini says no more of them than "Invalid input". */
export const inEnglish = once(() => ({ error: z.locales.en().localeError }));
