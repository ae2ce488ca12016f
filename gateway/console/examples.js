// @ts-check
// Two short conversations to play, one a language; their questions are about the knowledge that ships with the project.

export const EXAMPLES = {
  en: `Chair: Good morning, and welcome back to the committee.
Chair: We have about twenty minutes left for this subject.
Member: Thank you, Chair. I read the evidence over the weekend.
Member: How many events were organised to get feedback on the draft curriculum?
Minister: I am glad that you ask, it was a long list.
Member: And how many focus groups were there for young people?
Chair: Let us take the last one before the break.
Member: What is the capital of Mongolia?`,
  zh: `主持人：各位家长，大家晚上好。
主持人：今天我们聊一聊孩子的学习规划。
家长：我家孩子总是觉得时间不够用。
家长：为什么学生会觉得时间不够用？
老师：这个问题很多人都问过。
家长：孩子应该怎样平衡课内和课外的作业？
主持人：最后再来一个轻松的问题。
家长：谁发明了电话？
主持人：好的，我们休息五分钟。`,
};
