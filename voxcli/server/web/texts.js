/** Texts of the page. Each line is a key, the English text and the Chinese one. */

const LANGUAGE = 'voxcli-language';
const LINES = `
read_aloud|On Sunday mornings I walk along the river before the town wakes up. The water is calm.|星期天的早晨，我喜欢沿着河边散步。河水很平静。
audition|Hear this voice|试听这个声音
auditioning|Hello, this is how I sound.|你好，这就是我的声音。
auto|Detect from the text|按文本判断
broken|The connection broke off; what had arrived is played. Try again.|连接中断，已收到的部分会播完。请重试。
busy|Speaking…|正在朗读…
cancel|Cancel|取消
cannot_clone|This model cannot imitate recordings; others can.|当前模型不能模仿录音，其他模型可以。
characters|{0} characters|{0} 字
chat_tab|Chat|对话
chunks|Chunks|数据块
clip_good|A good clip: {0} s of clear speech.|录音很好：{0} 秒清晰语音。
clip_hint|5 to 30 seconds of one person in a quiet room, such as:|一个人在安静处说 5 到 30 秒，例如：
clip_title|A recording of the voice|声音的录音
clone_tab|Clone|克隆
compare|Compare|对比
consent|This is my own voice, or its speaker has agreed.|这是我本人的声音，或已得到说话人的同意。
copied|Copied|已复制
copy|Copy|复制
docs|API|接口
download|Download|下载
elsewhere|The same from elsewhere|在别处这样用
factor|Real-time factor|实时率
failed|cannot be loaded|无法加载
fetch|A proxy refuses WebSockets: streamed over HTTP.|代理不支持 WebSocket，已改用 HTTP。
file|Choose a file|选择文件
first_byte|First byte|首字节
first_sound|First sound|首次出声
ignored|Without effect here: {0}.|在此无效：{0}。
keep|Keep this voice|保存声音
kept|Kept voices|已保存的声音
kept_as|Kept as “{0}”.|已保存为“{0}”。
key|API key|API 密钥
key_hint|Kept in this tab until it is closed.|关闭此标签页后即清除。
key_ok|Continue|继续
key_title|This server requires an API key|此服务器需要 API 密钥
key_wrong|The server does not accept this key.|服务器不接受这个密钥。
language|Language|语言
length|Length|时长
level|Level of the microphone|麦克风音量
load|Load|加载
loading|loading|加载中
m_first_byte|Mean first byte|平均首字节
m_answered|Answered|完成的请求
m_failed|Failed|失败的请求
m_gpu|GPU memory|显存
m_memory|Memory|内存
m_queue|Waiting|等待中
m_speech|Speech made|生成的语音
m_state|Model|模型
m_streams|Streams|并发流
m_version|Version|版本
microphone|No microphone: {0}|无法使用麦克风：{0}
name|Name of the voice|声音的名称
no_gpu|none|无
no_sockets|A proxy refuses WebSockets: keep the voice first.|代理不支持 WebSocket，请先保存再试听。
no_text|Write something to speak.|请输入要朗读的文本。
not_secure|it needs https.|需要 https。
other_language|中文|English
question|Say something|说点什么
ready|ready|就绪
record|Record|录音
sections|Sections|页面
seed|Seed|随机种子
seed_hint|a new one each time|每次不同
seeded|Seed {0}.|种子 {0}。
send|Send|发送
server_tab|Server|服务器
speak|Speak|朗读
speed|Speed|语速
steps|Steps|步数
stop|Stop|停止
streaming|Streamed|流式
style|Style|风格
style_hint|an old man, unhurried|一位从容的老人
text|Text|文本
text_hint|Write or paste what to say.|输入或粘贴要朗读的内容。
transcript|What is said in it|录音的文字
transcript_hint|Word for word; some models need it.|逐字填写，部分模型必须填写。
try|Try it on the text|用文本试听
underruns|Underruns|断流次数
unload|Unload|卸载
unloaded|not loaded|未加载
unloading|It waits for the speech to end.|朗读结束后卸载。
unreachable|The server cannot be reached; the page keeps trying.|无法连接服务器，页面会继续重试。
voice|Voice|声音
voices_own|Voices of the model|模型自带的声音
waited|Pauses were {0} s longer.|停顿共延长 {0} 秒。
waits|Wait for the first sound|等到首次出声
waveform|Waveform|波形
whole|As a whole|整段
sooner|{0} times sooner|快 {0} 倍
`;
/** What is wrong with a clip, of {0} seconds of speech. The server says it in English. */
const REMARKS = `
silent||没有声音，请检查麦克风
empty||太短，听不出声音。
too_short||太短：语音只有 {0} 秒。
short||偏短：语音 {0} 秒，长些更像。
long||偏长：语音 {0} 秒，请剪短。
silent_start||开头静音过长，请剪去。
silent_end||结尾静音过长，请剪去。
distorted||声音失真，请调低输入后重录。
quiet||声音太小，请靠近麦克风重录。
loud||声音太大，请调低输入。
noisy||噪声较大，请在安静处重录。
offset||存在直流偏移。
telephone||采样率太低。
`;

export const TEXTS = Object.fromEntries(
	(LINES + REMARKS).split('\n').map((line) => [line.split('|')[0], line.split('|').slice(1)]),
);

export let language = localStorage.getItem(LANGUAGE) ?? (navigator.language.startsWith('zh') ? 'zh' : 'en');

/** @param {string} key @param {...(string | number)} values for {0}, {1} … */
export const t = (key, ...values) =>
	values.reduce((said, value, i) => said.replace(`{${i}}`, value), TEXTS[key][language === 'zh' ? 1 : 0]);

/** Write the texts into the page. */
export function translate(chosen = language) {
	if (chosen !== language) localStorage.setItem(LANGUAGE, chosen);
	language = chosen;
	document.documentElement.lang = language === 'zh' ? 'zh-CN' : 'en';
	for (const one of document.querySelectorAll('[data-t]')) one.textContent = t(one.dataset.t);
	for (const name of ['title', 'aria-label', 'placeholder']) {
		for (const one of document.querySelectorAll(`[data-${name}]`)) {
			one.setAttribute(name, t(one.getAttribute(`data-${name}`)));
		}
	}
}
