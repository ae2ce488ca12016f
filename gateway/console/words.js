// @ts-check
// The words of the page, in English and Chinese.

const EN = {
  link: { off: "disconnected", connecting: "connecting…", open: "connected", waiting: "connection lost", ended: "session ended" },
  stages: {
    listening: "listening", paused: "paused", waiting_for_question: "listening", analyzing: "question heard", instant_query: "asking now",
    querying_rag: "looking for an answer", interrupting: "interrupting", idle: "listening", closed: "closed",
  },
  question: {
    analyzing: "heard", querying: "searching", answering: "answering", done: "answered", not_found: "no answer found",
    failed: "failed", cancelled: "cancelled", interrupted: "superseded", expired: "too old",
  },
  times: { analyzing: "heard", querying: "asked", first: "first words", done: "done" },
  chunk: { waiting: "sending…", stored: "stored", paused: "not heard: paused", retrying: "not stored yet, sending again", failed: "refused" },
  connect: "Connect", disconnect: "Disconnect", resume: "Reconnect", retryNow: "Try now", newSession: "New session",
  session: "Session", resumed: "resumed", retryIn: "next try in a moment", spoken: "Language", auto: "detect",
  heard: "Heard", passed: "Passed over", questions: "Questions",
  heardNone: "What is said appears here: type a line below, or play a conversation.",
  passedNone: "Sentences that ask nothing are listed here, each with the reason.",
  questionsNone: "When a question is heard, its answer appears here while it is written.",
  newest: "Newest", score: "score", instant: "asked now", retrying: "The answer broke off; starting again…",
  noAnswerHint: "The knowledge holds nothing close enough to this question.",
  sources: "Sources", source: "Source", details: "Details", provider: "provider", attempt: "attempt",
  say: "Say something", sayHint: "Type what is said; Enter ends the line", send: "Send",
  pause: "Pause", unpause: "Resume", askNow: "Ask now", cancel: "Cancel answer", stop: "Stop session",
  pauseHint: "While paused, nothing that is said is heard", askNowHint: "Answer the latest line as it is, without waiting for a question",
  cancelHint: "End the running answer", stopHint: "End this session",
  play: "Play a conversation", paste: "One line per utterance; “Speaker: text” is understood",
  pasteHint: "Alice: Good morning, everyone.\nBob: When does the new curriculum start?", speed: "Speed", fast: "at once",
  start: "Play", halt: "Stop playing", example: "Example", playing: "Playing", held: "waiting", openFile: "Open a file",
  dismiss: "Dismiss", language: "中文", copied: "copied", copy: "Copy the session's id",
};

/** @type {typeof EN} */
const ZH = {
  link: { off: "未连接", connecting: "连接中…", open: "已连接", waiting: "连接中断", ended: "会话已结束" },
  stages: {
    listening: "正在听", paused: "已暂停", waiting_for_question: "正在听", analyzing: "听到问题", instant_query: "立即提问", querying_rag: "查找答案",
    interrupting: "正在打断", idle: "正在听", closed: "已关闭",
  },
  question: {
    analyzing: "已听到", querying: "检索中", answering: "回答中", done: "已回答", not_found: "未找到答案", failed: "失败",
    cancelled: "已取消", interrupted: "已被取代", expired: "已过期",
  },
  times: { analyzing: "听到", querying: "提问", first: "首字", done: "完成" },
  chunk: { waiting: "发送中…", stored: "已存储", paused: "暂停中，未收听", retrying: "尚未存储，正在重发", failed: "被拒绝" },
  connect: "连接", disconnect: "断开", resume: "重新连接", retryNow: "立即重试", newSession: "新会话",
  session: "会话", resumed: "已恢复", retryIn: "即将重试", spoken: "语言", auto: "自动",
  heard: "听到的话", passed: "略过的句子", questions: "问题与答案",
  heardNone: "说的话显示在这里：在下方输入一行，或播放一段对话。",
  passedNone: "不是提问的句子列在这里，并附原因。",
  questionsNone: "听到问题后，答案会在这里逐字出现。",
  newest: "最新", score: "得分", instant: "立即提问", retrying: "回答中断，正在重新开始…",
  noAnswerHint: "知识库中没有与此问题足够接近的内容。",
  sources: "来源", source: "来源", details: "详情", provider: "提供者", attempt: "第几次",
  say: "说点什么", sayHint: "输入所说的话，按回车结束一行", send: "发送",
  pause: "暂停", unpause: "继续", askNow: "立即提问", cancel: "取消回答", stop: "结束会话",
  pauseHint: "暂停期间说的话不会被收听", askNowHint: "直接用最近一句话提问", cancelHint: "结束正在生成的回答", stopHint: "结束本次会话",
  play: "播放对话", paste: "每行一句，可写“说话人：内容”",
  pasteHint: "主持人：大家好。\n家长：如何安排居家学习的时间？", speed: "速度", fast: "立即全部",
  start: "播放", halt: "停止播放", example: "示例", playing: "播放中", held: "等待中", openFile: "打开文件",
  dismiss: "关闭", language: "English", copied: "已复制", copy: "复制会话编号",
};

/** @typedef {typeof EN} Words */
export const WORDS = { en: EN, zh: ZH };

/** Milliseconds for people: "340 ms", "1.2 s". @param {number} ms */
export const duration = (ms) => (ms < 1000 ? `${Math.max(0, Math.round(ms))} ms` : `${(ms / 1000).toFixed(1)} s`);
