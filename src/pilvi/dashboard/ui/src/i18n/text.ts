// All texts of the page: English, Chinese.
import { BOOT } from "./boot.ts"
import { PAGES } from "./pages.ts"
import { WORDS } from "./words.ts"

export const TEXT = { ...WORDS, ...PAGES, ...BOOT } as const
export type Key = keyof typeof TEXT
